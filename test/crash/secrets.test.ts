import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { z } from "zod";
import {
  crashWhileMaking,
  declaredBoundaries,
  type DeclaredSubject,
} from "../support/crash-declared.ts";
import { CrashTable } from "../support/crash-table.ts";

const environmentSchema = z.object({
  secrets: z.array(z.object({ name: z.string(), version: z.int() })),
});

const password: DeclaredSubject = {
  more: { secrets: { password: {} } },
  expression: "${{ secrets.password }}",
  look: async (server) => {
    const { secrets } = environmentSchema.parse(
      await server.request("GET", "/api/v1/environments/judged"),
    );
    const versions = secrets.map(({ name, version }) => `${name} v${version}`).join(", ");
    return versions === "password v1" ? [] : [`the environment owns ${versions}`];
  },
};

const table = new CrashTable("a declared secret");
after(() => table.print());

describe("a server that ends while a declared secret is made", { concurrency: 2 }, () => {
  for (const name of declaredBoundaries) {
    for (const act of ["kill", "throw"] as const) {
      test(`${name} × ${act}: one version, one value`, async () => {
        const outcome = await crashWhileMaking(password, { name, act, table });
        assert.ok(outcome.happened, `${name} was never reached`);
        assert.deepEqual(outcome.complaints, []);
      });
    }
  }
});
