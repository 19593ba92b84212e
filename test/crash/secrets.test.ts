import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { z } from "zod";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../src/adapters/sources/directory/index.ts";
import { failpoints } from "../../src/engine/deps.ts";
import { CrashTable } from "../support/crash-table.ts";
import { crashAndGoOn } from "../support/crash.ts";
import { Outside, writeTemplate } from "../support/outside.ts";
import { testDirectory, type TestServer } from "../support/server.ts";

const table = new CrashTable("a declared secret");
after(() => table.print());

/** Writes down every value that it is given. */
const keep = `#!/bin/sh
set -eu
value=$(grep -o '"password":"[^"]*"' | cut -d '"' -f 4)
echo "$value" >> "$1/values"
`;

const environmentSchema = z.object({
  secrets: z.array(z.object({ name: z.string(), version: z.int() })),
});

async function complaints(server: TestServer, outside: Outside): Promise<readonly string[]> {
  const seen = (await outside.read("values"))?.trim().split("\n") ?? [];
  const distinct = new Set(seen);
  const { secrets } = environmentSchema.parse(
    await server.request("GET", "/api/v1/environments/judged"),
  );
  const versions = secrets.map(({ name, version }) => `${name} v${version}`).join(", ");
  return [
    ...(distinct.size === 1 ? [] : [`${distinct.size} values were handed out`]),
    ...(seen.length >= 2 ? [] : ["a group did not get it"]),
    ...(versions === "password v1" ? [] : [`the environment owns ${versions}`]),
  ];
}

describe("a server that ends while a declared secret is made", { concurrency: 2 }, () => {
  const boundaries = failpoints.filter((name) => !name.startsWith("state."));
  for (const name of boundaries) {
    for (const act of ["kill", "throw"] as const) {
      test(`${name} × ${act}: one version, one value`, async () => {
        const directory = await testDirectory();
        try {
          const outside = new Outside(join(directory.path, "outside"));
          await mkdir(outside.directory);
          const user = {
            more: {
              with: {
                create: ["./keep", outside.directory],
                inputs: { password: "${{ secrets.password }}" },
                repeatable: true,
              },
              outputs: [],
            },
          };
          const folder = join(directory.path, "template");
          await writeTemplate(folder, outside, {
            name: "ledger",
            more: { secrets: { password: {} } },
            groups: { one: user, two: user },
            files: { keep },
          });
          const archive = new Uint8Array(await pack((await readDirectory(folder)).files));
          const outcome = await crashAndGoOn({ groups: 2, width: 2 }, `${name}:${act}:1`, {
            archive,
            look: (server) => complaints(server, outside),
          });
          table.put(name, act, outcome);
          assert.ok(outcome.happened, `${name} was never reached`);
          assert.deepEqual(outcome.complaints, []);
        } finally {
          await directory.remove();
        }
      });
    }
  }
});
