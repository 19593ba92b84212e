import { X509Certificate } from "node:crypto";
import { basename, dirname } from "node:path";
import { after } from "node:test";
import { z } from "zod";
import { vaultCertificatesExecutor } from "../../../src/adapters/executors/vault-certificates/index.ts";
import type { Executor, ExecutorContext } from "../../../src/ports/executor.ts";
import { testExecutor } from "../../../src/testing/executor-contract.ts";
import { Vault } from "../../support/vault.ts";
import { makePki } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

const vault = vaultSkip === false ? await Vault.start() : null;
if (vault !== null) await makePki(vault);
after(() => vault?.close());

const pathOf = (world: string): string => `test/${basename(dirname(world))}`;
const dataSchema = z.object({
  data: z.object({ data: z.object({ certificate: z.string().optional() }) }),
});
const quiet = (): void => undefined;

testExecutor({
  name: "vault-certificates",
  skip: vaultSkip,
  executor: () => {
    if (vault === null) throw new Error("there is no Vault");
    const { session } = openSession({ url: vault.url, login: byToken(vault.root) });
    const host = { session, mount: "secret", pki: "pki", granted: () => null };
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    return Promise.resolve(withWord(vaultCertificatesExecutor({ ...host, clock: Date, log })));
  },
  thing: (world, word) => ({
    settings: { path: pathOf(world), role: "web", commonName: word },
    files: {},
    outputs: ["word"],
  }),
  look: async (world) => {
    const found = await vault?.send("GET", `secret/data/${pathOf(world)}`);
    if (found?.status !== 200) return {};
    const { certificate } = dataSchema.parse(found.body).data.data;
    if (certificate === undefined) return { thing: "changed" };
    const { subject, serialNumber } = new X509Certificate(certificate);
    return { thing: subject.replace("CN=", ""), serial: serialNumber };
  },
  tamper: async (world) => {
    await vault?.request("POST", `secret/data/${pathOf(world)}`, { data: { key: "another" } });
  },
  processes: null,
});

/** The suite calls an output `word`, and this executor's have names of its own. */
function withWord(executor: Executor): Executor {
  return {
    ...executor,
    async apply(ctx) {
      const result = await executor.apply(named(ctx));
      return { ...result, outputs: { word: result.outputs["common_name"] ?? null } };
    },
    async observe(ctx) {
      const seen = await executor.observe(named(ctx));
      return { ...seen, outputs: { word: seen.outputs?.["common_name"] ?? null } };
    },
  };
}

function named(ctx: ExecutorContext): ExecutorContext {
  return { ...ctx, declaredOutputs: ["common_name"] };
}
