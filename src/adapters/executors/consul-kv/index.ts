import type { Executor } from "../../../ports/executor.ts";
import { apply, plan } from "./apply.ts";
import { destroy } from "./destroy.ts";
import { asStep, type KvHost } from "./host.ts";
import { observe } from "./observe.ts";
import { settingsShape, validateSettings } from "./settings.ts";

export type { KvHost } from "./host.ts";

/**
 * Groups of keys in Consul's key-value store. Every write is a transaction in which each key is compared with what was seen, and
 * the group's fence with the one that this owner put there; keys carry a mark of their group.
 */
export function consulKvExecutor(host: KvHost): Executor {
  return {
    name: "consul-kv",
    behaviour: 1,
    settings: settingsShape,
    filesOf: () => [],
    validate: validateSettings,
    plan: (ctx) => asStep(ctx, () => plan(host, ctx)),
    apply: (ctx) => asStep(ctx, () => apply(host, ctx)),
    destroy: (ctx) => asStep(ctx, () => destroy(host, ctx)),
    observe: (ctx) => asStep(ctx, () => observe(host, ctx)),
    // An apply and a destroy look first, and a new owner's fence ends what an old one still has under way.
    settle: () => Promise.resolve({ kind: "again" }),
  };
}
