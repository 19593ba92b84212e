import type { Executor } from "../../../ports/executor.ts";
import type { KvHost } from "./host.ts";
import { RecentLooks } from "./recent-looks.ts";
import { settingsShape, validateSettings } from "./settings.ts";

export type { KvHost } from "./host.ts";

/**
 * Groups of keys in Consul's key-value store. Every write is a transaction in which each key is compared with what was seen, and
 * the group's fence with the one that this owner put there; keys carry a mark of their group.
 */
export function consulKvExecutor(of: Omit<KvHost, "looks">): Executor {
  const host = { ...of, looks: new RecentLooks() };
  return {
    name: "consul-kv",
    behaviour: 1,
    settings: settingsShape,
    filesOf: () => [],
    validate: validateSettings,
    plan: async (ctx) => (await acts()).plan(host, ctx),
    apply: async (ctx) => (await acts()).apply(host, ctx),
    destroy: async (ctx) => (await acts()).destroy(host, ctx),
    observe: async (ctx) => (await acts()).observe(host, ctx),
    // An apply and a destroy look first, and a new owner's fence ends what an old one still has under way.
    settle: () => Promise.resolve({ kind: "again" }),
  };
}

/** Loaded by the first step that needs it: most servers have no Consul. */
function acts() {
  return import("./acts.ts");
}
