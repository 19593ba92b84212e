import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { healthView } from "../../../src/contract/rest-service.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";
import { until } from "../../support/site.ts";

describe("while the broker is down", { skip: rabbitmqSkip }, () => {
  let at: BusSite;
  before(async () => {
    at = await openBusSite();
    await at.site.register({ name: "shop", groups: { web: "1" } });
  });
  after(() => at.close());

  const bus = async () => {
    const { body } = await at.site.send("GET", "/health");
    const health = healthView.parse(body);
    const shown = health.dependencies.find(({ name }) => name === "bus");
    return { status: health.status, ready: health.ready, bus: shown };
  };
  const closed = async (): Promise<boolean> => {
    const { body } = await at.site.server.send("GET", "/metrics");
    return String(body).includes('glasshouse_remote_breakers{remote="bus",state="closed"} 1');
  };

  test("commands by REST and runs go on, health says so, and what was to be told is told when it is back", async () => {
    const { broker, client, site } = at;
    assert.equal((await bus()).bus?.breaker?.state, "closed");
    await broker.stop();
    const down = await until(bus, (seen) => seen.bus?.breaker?.state === "open", 30_000);
    assert.deepEqual([down.status, down.ready], ["degraded", true]);
    assert.equal(down.bus?.status, "unreachable");
    assert.match(down.bus.advice ?? "", /broker/u);
    assert.equal(await closed(), false);
    assert.equal((await site.server.send("GET", "/readyz")).status, 200);
    assert.equal((await site.create("meanwhile", "shop")).status, "succeeded");

    await broker.start();
    await until(bus, (seen) => seen.bus?.breaker?.state === "closed", 60_000);
    assert.equal(await closed(), true);
    const journal = await site.events("meanwhile");
    await client.until(
      () => client.toldOf("meanwhile") === journal.length,
      "what happened meanwhile, in order and without a gap",
    );
    const id = await client.send({
      type: "environment.create",
      data: { name: "afterwards", template: "shop" },
    });
    assert.equal((await client.reply(id, "command.completed")).data.status, "completed");
  });
});
