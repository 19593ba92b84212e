import { checkDefaults, type CheckOutcome } from "../../src/domain/check.ts";
import type { TemplateBody } from "../../src/domain/template.ts";
import type { Checker, CheckFollower } from "../../src/ports/check.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";

export const well: CheckOutcome = { healthy: true, detail: "1 of 1 instance passes" };
export const ill: CheckOutcome = { healthy: false, detail: "0 of 1 instance passes" };

export interface FakeTarget {
  readonly checker: Checker;
  /** Empty for one that is only looked at. */
  readonly followers: ReadonlySet<CheckFollower>;
  readonly looks: () => number;
  /** From now on it is so. */
  readonly is: (outcome: CheckOutcome) => void;
  readonly isLost: (reason: string) => void;
}

/** A target of which the test says how it is; it tells who follows it, if anybody may. */
export function fakeTarget(kind: "consul" | "tcp"): FakeTarget {
  const followers = new Set<CheckFollower>();
  let now = well;
  let looks = 0;
  const follow = (_: unknown, told: CheckFollower): boolean => {
    followers.add(told);
    told.signal.addEventListener("abort", () => followers.delete(told));
    told.seen(now);
    return true;
  };
  const checker: Checker = {
    kind,
    check: async () => {
      looks += 1;
      return now;
    },
    ...(kind === "consul" ? { follow } : {}),
  };
  return {
    checker,
    followers,
    looks: () => looks,
    is: (outcome: CheckOutcome) => {
      now = outcome;
      for (const { seen } of followers) seen(outcome);
    },
    isLost: (reason: string) => {
      for (const { lost } of followers) lost(reason);
    },
  };
}

const consul = { consul: { service: "shop", datacenter: null, tag: null } } as const;
const quick = { ...checkDefaults, description: "", intervalMs: 10 };

/** One group with a resource that has a check of the target, looked at every 10 ms. */
export function checkedTemplate({ checker }: FakeTarget): TemplateBody {
  const probe = checker.kind === "consul" ? consul : { tcp: "db.example.com:5432" };
  const check = { ...quick, probe };
  const server = {
    name: "Server",
    description: "",
    tags: {},
    count: 1,
    links: {},
    checks: { home: check },
    dependsOn: [],
  };
  return sampleTemplate({ web: sampleGroup({ resources: { server } }) });
}
