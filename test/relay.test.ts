import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Relay, type RelaySettings } from "../src/engine/relay.ts";
import type { Bus, BusNotice, PublishOutcome } from "../src/ports/bus.ts";
import { SystemClock } from "../src/adapters/clock/system/index.ts";
import { createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

/** A bus that keeps what it was sent, and does what a test tells it. */
class Ear implements Pick<Bus, "publish"> {
  readonly notices: BusNotice[] = [];
  calls = 0;
  /** Asked before each call. */
  before: () => Promise<void> = async () => undefined;

  async publish(notices: readonly BusNotice[]): Promise<readonly PublishOutcome[]> {
    this.calls += 1;
    await this.before();
    this.notices.push(...notices);
    return notices.map(() => "sent");
  }

  get positions(): readonly number[] {
    return this.notices.flatMap((notice) =>
      notice.kind === "event" ? [notice.event.position] : [],
    );
  }

  get replies(): readonly string[] {
    return this.notices.flatMap((notice) => {
      if (notice.kind !== "reply") return [];
      const { to, about } = notice.reply;
      return [`${to.queue}/${to.correlationId ?? "-"}: ${about.status}`];
    });
  }
}

async function inWorld(
  test: (
    world: ServiceWorld,
    relayOf: (ear: Ear, settings?: Partial<RelaySettings>) => Relay,
  ) => Promise<void>,
): Promise<void> {
  const world = await createServiceWorld({ start: true });
  const relays: Relay[] = [];
  try {
    await test(world, (bus, settings = {}) => {
      const { store, log } = world.services;
      const relay = new Relay({ store, bus, clock: new SystemClock(), log, settings });
      relays.push(relay);
      relay.start();
      return relay;
    });
  } finally {
    await Promise.all(relays.map((relay) => relay.stop()));
    await world.close();
  }
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass: ${what}`);
    await sleep(10);
  }
}

const journal = async (world: ServiceWorld): Promise<readonly number[]> =>
  (await world.store.read((tx) => tx.events.after(0, { limit: 5_000 }))).map(
    (event) => event.position,
  );

async function allSent(world: ServiceWorld, ear: Ear): Promise<void> {
  await until(async () => {
    const written = await journal(world);
    return written.length > 0 && new Set(ear.positions).size === written.length;
  }, "everything is sent");
}

void describe("the relay of the journal", () => {
  void it("sends every event once and in order, and the end of a run to who asked for it", () =>
    inWorld(async (world, relayOf) => {
      const ear = new Ear();
      relayOf(ear);
      await until(async () => (await position(world)) === 0, "it owns the journal");
      await world.register(plainYaml());
      const reply = { queue: "answers", correlationId: "7" };
      const asked = { reply, traceparent: "00-1", correlationId: "c" };
      const made = await world.send("environment.create", "one", { template: "plain" }, asked);
      await world.send("environment.create", "two", { template: "plain" });
      await world.send("template.deprecate", "plain@1.0.0", {}, { reply });
      await world.ended(made.runId ?? "");
      await allSent(world, ear);
      assert.deepEqual(ear.positions, await journal(world));
      await until(() => ear.replies.length > 0, "an answer");
      assert.deepEqual(ear.replies, ["answers/7: completed"]);
      const caused = ear.notices.filter(
        (notice) => notice.kind === "event" && notice.event.commandId === made.id,
      );
      assert.ok(caused.length >= 3);
      for (const notice of caused)
        assert.deepEqual("origin" in notice && notice.origin, {
          traceparent: "00-1",
          correlationId: "c",
        });
      await until(async () => (await position(world)) === ear.positions.at(-1), "the cursor");
    }));

  void it("lets none overtake one that the bus did not take", () =>
    inWorld(async (world, relayOf) => {
      const ear = new Ear();
      // Registering a template is told with three events at once: the third is read when the second has failed.
      ear.before = async () => {
        if (ear.calls === 2) throw new Error("the broker is down");
      };
      relayOf(ear, { batch: 1, ahead: 4 });
      await until(async () => (await position(world)) === 0, "it owns the journal");
      await world.register(plainYaml());
      await allSent(world, ear);
      assert.deepEqual([...new Set(ear.positions)], await journal(world));
      assert.ok(ear.calls > 3, "one was sent again");
    }));

  void it("sends again from where it was when the bus fails, and leaves nothing out", () =>
    inWorld(async (world, relayOf) => {
      const ear = new Ear();
      ear.before = async () => {
        if (ear.calls % 3 !== 0) throw new Error("the broker is down");
      };
      relayOf(ear, { batch: 3, ahead: 2 });
      await until(async () => (await position(world)) === 0, "it owns the journal");
      await world.register(plainYaml());
      const made = await world.send("environment.create", "one", { template: "plain" });
      await world.ended(made.runId ?? "");
      await until(() => ear.calls > 3, "calls that fail");
      ear.before = async () => undefined;
      await allSent(world, ear);
      let next = 0;
      const written = await journal(world);
      // As a listener takes them: what was seen is ignored, what is missing is waited for.
      for (const seen of ear.positions) if (seen === written[next]) next += 1;
      assert.equal(next, written.length);
    }));

  void it("is taken over when its owner falls silent, whose writes are refused then", () =>
    inWorld(async (world, relayOf) => {
      const settings = { leaseMs: 400, renewMs: 100 };
      const silent = new Ear();
      const hung = Promise.withResolvers<void>();
      silent.before = () => hung.promise;
      relayOf(silent, settings);
      await until(async () => (await position(world)) === 0, "it owns the journal");
      await world.register(plainYaml());
      await until(() => silent.calls > 0, "it is about to send");
      const other = new Ear();
      relayOf(other, settings);
      await allSent(world, other);
      const sent = other.positions.length;
      hung.resolve();
      await sleep(500);
      assert.equal(other.positions.length, sent);
      assert.deepEqual(other.positions, await journal(world));
      await world.send("template.deprecate", "plain@1.0.0", {});
      await allSent(world, other);
      assert.ok(silent.positions.length <= sent);
    }));

  void it("hands over at once when it stops, and begins at the journal's head the first time ever", () =>
    inWorld(async (world, relayOf) => {
      await world.register(plainYaml());
      const before = await journal(world);
      const first = new Ear();
      const relay = relayOf(first);
      await until(async () => (await position(world)) === before.at(-1), "it owns the journal");
      await relay.stop();
      await world.send("template.deprecate", "plain@1.0.0", {});
      const next = new Ear();
      const startedAt = Date.now();
      relayOf(next);
      const after = (await journal(world)).slice(before.length);
      await until(() => next.positions.length === after.length, "what came since");
      assert.ok(Date.now() - startedAt < 2_000);
      assert.deepEqual(next.positions, after);
      assert.deepEqual(first.positions, []);
    }));
});

async function position(world: ServiceWorld): Promise<number | null> {
  return world.store.read((tx) => tx.relays.position("bus"));
}
