import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";

suite("an environment ordered over the bus", { skip: rabbitmqSkip }, () => {
  let at: BusSite;
  before(async () => {
    at = await openBusSite();
    await at.site.register({ name: "shop", groups: { web: "1", cart: "2" } });
  });
  after(() => at.close());

  test("is answered, told of event by event without a gap, and answered again when it is there", async () => {
    const { client, site } = at;
    const id = await client.send({
      type: "environment.create",
      data: { name: "one", template: "shop" },
    });
    const accepted = await client.reply(id, "command.accepted");
    assert.equal(accepted.data.status, "accepted");
    const completed = await client.reply(id, "command.completed");
    assert.equal(completed.data.status, "completed");
    assert.deepEqual(
      // Of a run so short the two may cross: they go over channels of their own.
      client
        .repliesOf(id)
        .map(({ type }) => type)
        .toSorted(),
      ["command.accepted", "command.completed"],
    );
    assert.deepEqual(
      client.deliveries.filter(({ correlationId }) => correlationId === id).length,
      2,
    );
    await client.until(
      () => client.events.find(({ type }) => type === "environment.ok"),
      "environment.ok",
    );
    const journal = await site.events("one");
    await client.until(() => client.toldOf("one") === journal.length, "all events");
    const seen = client.events.filter(({ subject }) => subject === "environments/one");
    assert.deepEqual(
      seen.map(({ id: event }) => event),
      journal.map(({ id: event }) => event),
    );
    assert.equal((await site.environment("one")).status, "deployed-ok");
  });
});
