import assert from "node:assert/strict";
import { afterEach, suite, test } from "node:test";
import type { Failpoint } from "../src/engine/deps.ts";
import type { Store, Tx } from "../src/ports/store.ts";
import { fakeExecutor, type FakeExecutor } from "../src/testing/fake-executor.ts";
import { chainYaml, createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

const together = [
  "command.accepted",
  "environment.deploying",
  "run.queued",
  "run.started",
  "step.started",
];

/** What each transaction has told, in order of commits. */
let told: (readonly string[])[] = [];
/** Transactions that were at the inbox, or at environments. */
let inbox = new Set<object>();
let worlds: ServiceWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
  [told, worlds, inbox] = [[], [], new Set()];
});

interface Bent {
  readonly executor?: FakeExecutor;
  readonly places?: number;
  readonly start?: boolean;
  readonly failpoint?: (name: Failpoint) => void;
  /** Called before steps are inserted. */
  readonly inserting?: () => void;
}

async function worldWith(of: Bent = {}): Promise<ServiceWorld> {
  const { executor = fakeExecutor(), places = 20, failpoint = () => undefined } = of;
  const world = await createServiceWorld({
    executors: [executor],
    start: of.start ?? true,
    settings: { places, failpoint },
    bend: (store) => listening(store, of.inserting ?? (() => undefined)),
  });
  worlds.push(world);
  await world.register(plainYaml());
  await world.register(chainYaml());
  told = [];
  return world;
}

function listening(store: Store, inserting: () => void): Store {
  return {
    read: (fn) => store.read(fn),
    search: (fn) => store.search(fn),
    watch: (topic, fn) => store.watch(topic, fn),
    lease: (worker) => store.lease(worker),
    health: () => store.health(),
    close: () => store.close(),
    transact: async (fn, how) => {
      let types: string[] = [];
      const value = await store.transact((tx) => {
        types = [];
        return fn(heard(tx, types, inserting));
      }, how);
      if (types.length > 0) told.push(types);
      return value;
    },
  };
}

function heard(tx: Tx, types: string[], inserting: () => void): Tx {
  const events: Tx["events"] = {
    ...tx.events,
    append: (added, time) => {
      types.push(...added.map(({ type }) => type));
      return tx.events.append(added, time);
    },
  };
  const steps: Tx["steps"] = {
    ...tx.steps,
    insert: async (...of) => {
      inserting();
      return tx.steps.insert(...of);
    },
  };
  const bent = { events, steps };
  return new Proxy(tx, {
    get: (target, name) => {
      if (name === "commands" || name === "environments") inbox.add(tx);
      return name === "events" || name === "steps" ? bent[name] : Reflect.get(target, name, target);
    },
  });
}

const create = (
  w: ServiceWorld,
  name = "e",
  template = "plain",
): ReturnType<ServiceWorld["send"]> => w.send("environment.create", name, { template });

async function succeeded(w: ServiceWorld, runId: string | null): Promise<void> {
  assert.equal((await w.ended(runId ?? "")).status, "succeeded");
}

/** Steps that have been begun, each with how often. */
function begun({ ledger }: FakeExecutor): number {
  return ledger.filter(({ what }) => what === "apply").length;
}

suite("the first run of a new environment", () => {
  test("begins in the transaction that takes its command in", async () => {
    const executor = fakeExecutor();
    const w = await worldWith({ executor });
    const { runId, status } = await create(w);
    assert.equal(status, "accepted");
    assert.deepEqual(told[0], together);
    await succeeded(w, runId);
    assert.equal(begun(executor), 1);
    const { sequence, status: now } = await w.named("e");
    const events = await w.store.read((tx) => tx.events.after(0, { limit: 100 }));
    const own = events.filter(({ subject }) => subject === "environments/e");
    assert.deepEqual(
      own.map((event) => event.sequence),
      own.map((_, at) => at + 1),
    );
    assert.deepEqual([sequence, now], [own.length, "deployed-ok"]);
  });

  test("waits in the queue while nobody works in this process, or has stopped", async () => {
    const w = await worldWith({ start: false });
    const { runId } = await create(w);
    assert.deepEqual(told, [together.slice(0, 3)]);
    await w.engine.start();
    await succeeded(w, runId);
    await w.engine.stop();
    told = [];
    const late = await create(w, "late");
    assert.deepEqual(told, [together.slice(0, 3)]);
    assert.equal((await w.run(late.runId)).status, "queued");
  });

  test("waits in the queue from the moment on in which the engine is asked to stop", async () => {
    const w = await worldWith();
    const stopping = w.engine.stop();
    const { runId } = await create(w);
    await stopping;
    assert.deepEqual(told, [together.slice(0, 3)]);
    assert.equal((await w.run(runId)).status, "queued");
  });

  test("waits in the queue while every place is taken, and begins when one is free", async () => {
    const gate = Promise.withResolvers<void>();
    const w = await worldWith({ places: 1, executor: fakeExecutor({ act: () => gate.promise }) });
    const first = await create(w, "first");
    const second = await create(w, "second");
    assert.deepEqual(told[0], together);
    assert.deepEqual(told[1], together.slice(0, 3));
    gate.resolve();
    await succeeded(w, first.runId);
    await succeeded(w, second.runId);
  });

  test("waits in the queue where its template requires other environments", async () => {
    const w = await worldWith();
    await create(w, "none");
    const { runId } = await create(w, "link", "chain");
    const own = told.find(
      (types) => types.includes("run.queued") && !types.includes("run.started"),
    );
    assert.deepEqual(own, together.slice(0, 3));
    assert.equal((await w.run(runId)).environmentId, (await w.named("link")).id);
  });

  test("is taken in all the same when it cannot be planned there", async () => {
    let planned = 0;
    const failpoint = (name: Failpoint): void => {
      if (name === "run.planned" && (planned += 1) === 1) throw new Error("on purpose");
    };
    const executor = fakeExecutor();
    const w = await worldWith({ failpoint, executor });
    const { runId } = await create(w);
    assert.deepEqual(told[0], together.slice(0, 3));
    await succeeded(w, runId);
    assert.deepEqual([planned, begun(executor)], [2, 1]);
  });

  test("is taken in all the same when its beginning cannot be written", async () => {
    let inserted = 0;
    const inserting = (): void => {
      if ((inserted += 1) === 1) throw new Error("on purpose");
    };
    const executor = fakeExecutor();
    const w = await worldWith({ inserting, executor });
    const { runId } = await create(w);
    assert.deepEqual(told[0], together.slice(0, 3));
    await succeeded(w, runId);
    assert.deepEqual([inserted, begun(executor)], [2, 1]);
  });

  test("is one, begun once, when its command comes several times at once", async () => {
    const executor = fakeExecutor();
    const w = await worldWith({ executor });
    const again = { id: "same" };
    const send = (): ReturnType<ServiceWorld["send"]> =>
      w.send("environment.create", "e", { template: "plain" }, again);
    const commands = await Promise.all(Array.from({ length: 8 }, send));
    assert.equal(new Set(commands.map(({ runId }) => runId)).size, 1);
    await succeeded(w, commands[0]?.runId ?? null);
    assert.equal(begun(executor), 1);
    assert.equal((await send()).runId, commands[0]?.runId);
  });

  test("is no reason to refuse or to keep what its command is refused for", async () => {
    const w = await worldWith();
    await succeeded(w, (await create(w)).runId);
    inbox.clear();
    const { code } = await w.refused("environment.create", "e", { template: "plain" });
    assert.equal(code, "already-exists");
    // One that found it out, and one that keeps it.
    assert.equal(inbox.size, 2);
  });

  test("of many that come at once takes no more places than there are, and each ends", async () => {
    let [now, most] = [0, 0];
    const executor = fakeExecutor({
      act: async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        now -= 1;
      },
    });
    const w = await worldWith({ places: 3, executor });
    const names = Array.from({ length: 30 }, (_, at) => `many-${at}`);
    const commands = await Promise.all(names.map((name) => create(w, name)));
    for (const { runId } of commands) await succeeded(w, runId);
    assert.equal(begun(executor), 30);
    assert.ok(most <= 3, `${most} at once`);
  });
});
