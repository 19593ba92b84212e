import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import {
  crashWhileMaking,
  declaredBoundaries,
  type DeclaredSubject,
} from "../support/crash-declared.ts";
import { CrashTable } from "../support/crash-table.ts";
import { goodOnes, groupPolicy } from "../support/group-certificate-site.ts";
import { Vault } from "../support/vault.ts";
import { makePki } from "../support/vault-pki.ts";
import { vaultSkip } from "../support/vault-program.ts";

const environmentSchema = z.object({
  certificates: z.array(z.object({ name: z.string(), version: z.int(), serial: z.string() })),
});

/** A name that no other case uses, so that what Vault has issued is told apart. */
function subjectOf(
  vault: Vault,
  name: string,
  env: Readonly<Record<string, string>>,
): DeclaredSubject {
  return {
    more: {},
    env,
    groups: {
      tls: {
        more: {
          executor: "vault-certificates",
          with: { path: `shop/${name}`, role: "web", commonName: `${name}.example.com` },
          outputs: ["serial"],
        },
      },
    },
    expression: "${{ groups.tls.outputs.serial }}",
    look: async (server, seen) => {
      const { certificates } = environmentSchema.parse(
        await server.request("GET", "/api/v1/environments/judged"),
      );
      const good = await goodOnes(vault, name);
      const [one] = certificates;
      return [
        ...(certificates.length === 1 && one?.version === 1 ? [] : ["it owns another version"]),
        ...(good.length === 1 ? [] : [`${good.length} are good`]),
        ...(one !== undefined && good.includes(one.serial) ? [] : ["another one is good"]),
        ...(one !== undefined && seen.includes(one.serial) ? [] : ["another was handed out"]),
      ];
    },
  };
}

const table = new CrashTable("a certificate of a group");
after(() => table.print());

describe(
  "a server that ends while a group's certificate is issued",
  { concurrency: 2, skip: vaultSkip },
  () => {
    let vault: Vault;
    let env: Readonly<Record<string, string>>;
    before(async () => {
      vault = await Vault.start();
      await makePki(vault);
      await vault.policy("glasshouse", groupPolicy);
      env = {
        GLASSHOUSE_VAULT_ADDRESS: vault.url,
        GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
        THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
      };
    });
    after(() => vault.close());

    for (const name of declaredBoundaries) {
      for (const act of ["kill", "throw"] as const) {
        test(`${name} × ${act}: one certificate is recorded, handed out and good`, async () => {
          const own = `${name.replace(".", "-").toLowerCase()}-${act}`;
          const outcome = await crashWhileMaking(subjectOf(vault, own, env), { name, act, table });
          assert.ok(outcome.happened, `${name} was never reached`);
          assert.deepEqual(outcome.complaints, []);
        });
      }
    }
  },
);
