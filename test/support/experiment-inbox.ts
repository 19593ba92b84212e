import type { Store } from "../../src/ports/store.ts";
import { accept } from "../../src/services/command.ts";
import { Starts } from "../../src/services/starts.ts";
import { bent, but } from "./crash-world.ts";
import type { Experiment } from "./experiment.ts";
import { createServiceWorld, plainYaml } from "./services.ts";

/** Without: the inbox does not know what it has taken. */
export const dedupeExperiment: Experiment = {
  promise: "a command takes effect once",
  mechanism: "the inbox's (source, id)",
  async run(on) {
    const world = await createServiceWorld(on ? {} : { bend: forgetful });
    try {
      await world.register(plainYaml());
      await world.send("environment.create", "one", { template: "plain", name: "one" });
      const first = { id: "first" };
      await world.send("environment.update", "one", { parameters: { size: 4 } }, first);
      await world.send("environment.update", "one", { parameters: { size: 5 } });
      await world.send("environment.update", "one", { parameters: { size: 4 } }, first);
      const { desired } = await world.named("one");
      const size = desired.templates[0]?.parameters["size"];
      return size === 5
        ? null
        : `a redelivered update took effect again: size is ${JSON.stringify(size)}`;
    } finally {
      await world.close();
    }
  },
};

function forgetful(store: Store): Store {
  return bent(store, ({ commands }) => ({
    commands: but(commands, {
      bySource: async () => null,
      insert: (command) => commands.insert({ ...command, sourceId: command.id }),
    }),
  }));
}

/** Both times the server dies just before the commit. Without: the answer is given before it. */
export const commitExperiment: Experiment = {
  promise: "no accepted command is lost",
  mechanism: "the commit before the 202",
  async run(on) {
    const world = await createServiceWorld();
    try {
      await world.register(plainYaml());
      const store = dyingBeforeCommit(world.store, on);
      const request = {
        source: "test",
        id: "lost",
        type: "environment.create",
        subject: "one",
        data: { template: "plain", name: "one" },
        actor: "tester",
      };
      const services = { ...world.services, store, starts: new Starts(store) };
      const answered = await accept(services, request).catch(() => null);
      if (answered === null) return null;
      const kept = await world.store.read((tx) => tx.commands.get(answered.id));
      return kept === null ? "a command was accepted and is nowhere" : null;
    } finally {
      await world.close();
    }
  },
};

class Died extends Error {}

function dyingBeforeCommit(store: Store, answersAfter: boolean): Store {
  return {
    ...bent(store, () => ({})),
    transact: <T>(fn: Parameters<typeof store.transact<T>>[0]) =>
      new Promise<T>((resolve, reject) => {
        const transaction = store.transact(async (tx) => {
          const value = await fn(tx);
          if (!answersAfter) resolve(value);
          throw new Died("the server died before the commit");
        });
        transaction.catch(reject);
      }),
  };
}
