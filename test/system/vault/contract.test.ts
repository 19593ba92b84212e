import { basename, dirname } from "node:path";
import { after } from "node:test";
import { z } from "zod";
import { vaultSecretsExecutor } from "../../../src/adapters/executors/vault-secrets/index.ts";
import { testExecutor } from "../../../src/testing/executor-contract.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

const vault = vaultSkip === false ? await Vault.start() : null;
after(() => vault?.close());

const pathOf = (world: string): string => `test/${basename(dirname(world))}`;
const dataSchema = z.object({ data: z.object({ data: z.record(z.string(), z.string()) }) });

testExecutor({
  name: "vault-secrets",
  skip: vaultSkip,
  executor: () => {
    if (vault === null) throw new Error("there is no Vault");
    const { session } = openSession({ url: vault.url, login: byToken(vault.root) });
    return Promise.resolve(vaultSecretsExecutor({ session, mount: "secret", granted: () => null }));
  },
  thing: (world, word) => ({
    settings: { path: pathOf(world), data: { thing: word, word } },
    files: {},
    outputs: ["word"],
  }),
  look: async (world) => {
    const found = await vault?.send("GET", `secret/data/${pathOf(world)}`);
    return found?.status === 200 ? dataSchema.parse(found.body).data.data : {};
  },
  tamper: async (world) => {
    await vault?.request("POST", `secret/data/${pathOf(world)}`, { data: { thing: "another" } });
  },
  processes: null,
});
