import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../src/adapters/sources/directory/index.ts";
import { failpoints, type Failpoint } from "../../src/engine/deps.ts";
import type { CrashTable } from "./crash-table.ts";
import { crashAndGoOn } from "./crash.ts";
import { Outside, writeTemplate, type TemplateFacts } from "./outside.ts";
import { testDirectory, type TestServer } from "./server.ts";

export interface DeclaredSubject {
  /** Members of the template that declare it. */
  readonly more: Readonly<Record<string, unknown>>;
  /** Groups beside those that use it. */
  readonly groups?: TemplateFacts["groups"];
  /** More variables of every server. */
  readonly env?: Readonly<Record<string, string>>;
  /** The expression that hands it on. */
  readonly expression: string;
  readonly look: (server: TestServer, seen: readonly string[]) => Promise<readonly string[]>;
}

/** The boundaries that a step of something declared goes through. */
export const declaredBoundaries = failpoints.filter((name) => !name.startsWith("state."));

/** Writes down what it is given: all between the quotes. */
const keep = `#!/bin/sh
set -eu
value=$(grep -o '"given":"[^"]*"' | cut -d '"' -f 4)
printf '%s\\n' "$value" >> "$1/values"
`;

/** Ends a server while something declared is made for two groups, starts it again, and says what is wrong then. */
export async function crashWhileMaking(
  subject: DeclaredSubject,
  at: { readonly name: Failpoint; readonly act: "kill" | "throw"; readonly table: CrashTable },
): Promise<{ readonly happened: boolean; readonly complaints: readonly string[] }> {
  const directory = await testDirectory();
  try {
    const outside = new Outside(join(directory.path, "outside"));
    await mkdir(outside.directory);
    const user = {
      more: {
        with: {
          create: ["./keep", outside.directory],
          inputs: { given: subject.expression },
          repeatable: true,
        },
        outputs: [],
      },
    };
    const folder = join(directory.path, "template");
    await writeTemplate(folder, outside, {
      name: "ledger",
      more: subject.more,
      groups: { ...subject.groups, one: user, two: user },
      files: { keep },
    });
    const archive = new Uint8Array(await pack((await readDirectory(folder)).files));
    const outcome = await crashAndGoOn({ groups: 2, width: 2 }, `${at.name}:${at.act}:1`, {
      archive,
      ...(subject.env === undefined ? {} : { env: subject.env }),
      look: async (server) => {
        const seen = (await outside.read("values"))?.trim().split("\n") ?? [];
        return [
          ...(new Set(seen).size === 1 ? [] : [`${new Set(seen).size} values were handed out`]),
          ...(seen.length >= 2 ? [] : ["a group did not get it"]),
          ...(await subject.look(server, seen)),
        ];
      },
    });
    at.table.put(at.name, at.act, outcome);
    return outcome;
  } finally {
    await directory.remove();
  }
}
