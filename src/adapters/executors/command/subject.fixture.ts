import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import type { ExecutorSubject } from "../../../testing/executor-subject.ts";
import type { GroupCase } from "../../../testing/executor-group.ts";
import { commandExecutor } from "./index.ts";

const isolation = await detectIsolation();

/** The command executor in its contract suite. Scripts get the world's path as an argument. */
export const subject: ExecutorSubject = {
  name: "command",
  skip: false,
  executor: () =>
    Promise.resolve(
      commandExecutor({
        isolation,
        environment: process.env,
        grants: () => ({}),
        hide: [],
        graceMs: 10_000,
      }),
    ),
  thing: (world, word) => ({
    settings: {
      create: ["./thing/up", world, word],
      destroy: ["./thing/down", world],
      observe: ["./thing/look", world, word],
    },
    files: {
      "thing/up": script('printf %s "$2" >"$1/thing"', result),
      "thing/down": script('rm "$1/thing"'),
      "thing/look": script(
        '[ -e "$1/thing" ] || exit 3',
        '[ "$(cat "$1/thing")" = "$2" ] || exit 4',
        result,
      ),
    },
    outputs: ["word"],
  }),
  tamper: (world) => rmSync(join(world, "thing")),
  processes: {
    module: fileURLToPath(import.meta.url),
    waiting: (world) => only(world, 'trap "exit 1" INT', ...escapes, ...waits),
    stubborn: (world) => only(world, 'trap "" INT', ...waits),
    failing: (world, token) => ({
      ...only(world, "cat", "exit 1"),
      settings: { create: ["./run", world], inputs: { token } },
    }),
    secretive: (world, token) => ({
      ...only(
        world,
        "read -r document",
        'echo "$document" | tee "$GLASSHOUSE_RESULT.part"',
        ': >"$1/up"',
        'while [ ! -e "$1/go-on" ]; do sleep 0.02; done',
        'token=${document##*\'"token":"\'}',
        'token=${token%\'"},"outputs"\'*}',
        'rm "$GLASSHOUSE_RESULT.part"',
        'printf \'{"outputs":{"password":"%s"}}\' "$token" >"$GLASSHOUSE_RESULT"',
      ),
      settings: { create: ["./run", world], inputs: { token } },
      outputs: ["password"],
    }),
  },
};

const result = 'printf \'{"outputs":{"word":"%s"}}\' "$2" >"$GLASSHOUSE_RESULT"';
/** A descendant that leaves the session, and with it the process group; in weak isolation it would get away. */
const escapes = isolation.strength === "weak" ? [] : [': >"$1/held"', 'setsid tail -f "$1/held" &'];
const waits = [': >"$1/up"', "while :; do sleep 0.05; done"];

function only(world: string, ...lines: readonly string[]): GroupCase {
  return { settings: { create: ["./run", world] }, files: { run: script(...lines) }, outputs: [] };
}

function script(...lines: readonly string[]): { readonly text: string; readonly mode: number } {
  return { text: ["#!/bin/sh", ...lines, ""].join("\n"), mode: 0o755 };
}
