import { failpoints, type Failpoint } from "../engine/deps.ts";

/** What the crash tests ask of a server: to end itself, throw or stall at a named boundary or around the n-th commit. */
export interface CrashHooks {
  readonly failpoint: (name: Failpoint) => void | Promise<void>;
  readonly onCommit: ((n: number, phase: "before" | "after") => void) | null;
}

/** What a server writes when it throws or stalls because a test asked for it. */
export const crashWords = "crash hook: here it happens";

/** Shorter than what the store allows a transaction to wait, longer than anything else takes. */
const stallMs = 2_000;

/**
 * Reads `GLASSHOUSE_CRASH_AT`: `step.acted:kill`, `step.acted:kill:3` (at the third pass), `commit:kill:17` (after the 17th
 * commit), `commit-before:kill:17`; `throw` and `stall` in place of `kill` at named boundaries. Unset, as in every real
 * server, it costs one comparison a boundary.
 */
export function crashHooks(environment: Readonly<Record<string, string | undefined>>): CrashHooks {
  const asked = environment["GLASSHOUSE_CRASH_AT"];
  if (asked === undefined || asked === "") return { failpoint: () => undefined, onCommit: null };
  const [place = "", act = "kill", at = "1"] = asked.split(":");
  const wanted = Number(at);
  if (place === "commit" || place === "commit-before") {
    const phase = place === "commit" ? "after" : "before";
    return {
      failpoint: () => undefined,
      onCommit: (n, when) => void (n === wanted && when === phase && die()),
    };
  }
  if (!failpoints.some((name) => name === place))
    throw new TypeError(
      `GLASSHOUSE_CRASH_AT names no boundary: ${place}. There are: ${failpoints.join(", ")}, commit, commit-before.`,
    );
  let passes = 0;
  return {
    onCommit: null,
    failpoint: (name) => {
      if (name !== place) return undefined;
      passes += 1;
      return passes === wanted ? crash(act) : undefined;
    },
  };
}

async function crash(act: string): Promise<void> {
  if (act === "kill") die();
  // So that a test sees that it did come here. Written at once: a log may be filtered or held back.
  process.stderr.write(`${crashWords}\n`);
  if (act === "throw") throw new Error("a crash test threw here");
  await new Promise((resolve) => {
    setTimeout(resolve, stallMs);
  });
}

/** As hard as an end can be: nothing is flushed, no handler runs. */
function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;) {
    // SIGKILL to oneself is delivered before the next instruction of any consequence.
  }
}
