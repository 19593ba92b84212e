import { busContract } from "../../../testing/bus-contract.ts";
import { EmbeddedBus } from "./index.ts";

busContract("embedded", async () => {
  const bus = new EmbeddedBus();
  await bus.start();
  const nothing = { contentType: null, replyTo: null, correlationId: null };
  return {
    bus,
    answers: "answers",
    async offer(text, more) {
      bus.offer({ body: Buffer.from(text), sender: null, traceparent: null, ...nothing, ...more });
    },
    async listen(queue) {
      const heard: string[] = [];
      bus.listen(queue, ({ body }) => heard.push(body.toString("utf8")));
      return heard;
    },
    close: () => bus.close(),
  };
});
