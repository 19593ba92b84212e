import { Readable } from "node:stream";
import { isStepEnded } from "../../domain/step.ts";
import type { LogLineView } from "../../contract/rest.ts";
import { mediaTypes } from "../../contract/rest-route.ts";
import type { LogLine } from "../../ports/work.ts";
import type { Topic } from "../../ports/store.ts";
import type { Api, Call, Handler } from "./api.ts";

const pageSize = 500;
/** A look without a wake-up, in case one was missed. */
const lookAgainMs = 15_000;

/** The log of a step as text, or as JSON lines for programs; with `follow` until the step has ended. */
export function stepLogHandler(api: Api): Handler<"getStepLog"> {
  return async (call) => {
    const { params, query, request, reply } = call;
    const step = await api.services.getStep(params.step);
    const asLines = request.headers.accept?.includes(mediaTypes.lines) === true;
    const write = asLines ? asJsonLine : asText;
    void reply
      .type(asLines ? mediaTypes.lines : `${mediaTypes.text}; charset=utf-8`)
      .header("x-accel-buffering", "no");
    if (!query.follow || request.method === "HEAD") {
      const lines = await api.services.readStepLog(step.id, query.after, query.limit);
      return reply.send(lines.map((line) => write(line)).join(""));
    }
    api.live.admit();
    return reply.send(Readable.from(follow(api, call, { stepId: step.id, write })));
  };
}

/** Lines as they come, until the step has ended and its last line was given. */
async function* follow(
  api: Api,
  { query, request, reply }: Call<"getStepLog">,
  { stepId, write }: { readonly stepId: string; readonly write: (line: LogLine) => string },
): AsyncGenerator<string> {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const signal = AbortSignal.any([gone.signal, api.stopping]);
  let { after } = query;
  // The client learns at once that it is served, also while there is no line yet.
  reply.raw.flushHeaders();
  while (!signal.aborted && !request.raw.destroyed) {
    // The wake-up is armed and the step read before the lines: nothing that ends it can come after its last line unseen.
    const changed = nextChange(api, signal);
    const { status } = await api.services.getStep(stepId);
    const lines = await api.services.readStepLog(stepId, after, pageSize);
    if (lines.length > 0) yield lines.map((line) => write(line)).join("");
    after = lines.at(-1)?.number ?? after;
    if (lines.length === pageSize) {
      changed.forget();
      continue;
    }
    if (isStepEnded(status)) return changed.forget();
    await changed.happened;
  }
}

interface Change {
  readonly happened: Promise<void>;
  readonly forget: () => void;
}

/** Resolves after the next commit that touches logs or steps, after a while, or when nobody waits any more. */
function nextChange(api: Api, signal: AbortSignal): Change {
  const { promise, resolve } = Promise.withResolvers<void>();
  const topics: readonly Topic[] = ["logs", "steps"];
  const ends = [
    ...topics.map((topic) => api.store.watch(topic, resolve)),
    api.clock.after(lookAgainMs, resolve),
  ];
  signal.addEventListener("abort", () => resolve(), { once: true });
  const forget = (): void => {
    for (const end of ends) end();
    resolve();
  };
  return { happened: promise.then(forget), forget };
}

function asText(line: LogLine): string {
  return `${line.text}\n`;
}

function asJsonLine(line: LogLine): string {
  const view: LogLineView = {
    number: line.number,
    attempt: line.token,
    time: line.time,
    text: line.text,
  };
  return `${JSON.stringify(view)}\n`;
}
