import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, describe, test } from "node:test";
import { z } from "zod";
import {
  crashWhileMaking,
  declaredBoundaries,
  type DeclaredSubject,
} from "../support/crash-declared.ts";
import { CrashTable } from "../support/crash-table.ts";

const environmentSchema = z.object({
  certificates: z.array(z.object({ name: z.string(), version: z.int(), serial: z.string() })),
});

const tls: DeclaredSubject = {
  more: { certificates: { tls: { role: "web", commonName: "shop.example.com" } } },
  expression: "${{ certificates.tls.certificate }}",
  look: async (server, seen) => {
    const { certificates } = environmentSchema.parse(
      await server.request("GET", "/api/v1/environments/judged"),
    );
    const given = seen
      .map((line) => JSON.parse(`"${line}"`))
      .map((pem) => new X509Certificate(pem));
    const serials = new Set(given.map(({ serialNumber }) => serialNumber.toLowerCase()));
    const [one] = certificates;
    return [
      ...(certificates.length === 1 && one?.version === 1 ? [] : ["it owns another version"]),
      ...(one !== undefined && serials.has(one.serial) ? [] : ["another one was handed out"]),
    ];
  },
};

const table = new CrashTable("a declared certificate");
after(() => table.print());

describe("a server that ends while a declared certificate is issued", { concurrency: 2 }, () => {
  for (const name of declaredBoundaries) {
    for (const act of ["kill", "throw"] as const) {
      test(`${name} × ${act}: one certificate is recorded and handed out`, async () => {
        const outcome = await crashWhileMaking(tls, { name, act, table });
        assert.ok(outcome.happened, `${name} was never reached`);
        assert.deepEqual(outcome.complaints, []);
      });
    }
  }
});
