import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedSecrets } from "../src/adapters/secrets/embedded/index.ts";
import { vaultKeeper } from "../src/adapters/secrets/vault/index.ts";
import { HttpConnection } from "../src/clients/http/connection.ts";
import type { SecretKeeper, SecretOrder } from "../src/ports/secrets.ts";
import { Vault } from "../test/support/vault.ts";
import { byToken, openSession } from "../test/support/vault-session.ts";
import { median, type Row } from "./measure.ts";

const rounds = 5;
const count = 1_000;
const atOnce = 16;

/**
 * Values of 1,000 declared secrets made in a real Vault on this machine, against the same requests sent bare over as many kept
 * connections. Vault keeps its data in files.
 */
export async function vaultSecrets(): Promise<readonly Row[]> {
  const vault = await Vault.start();
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  const { session } = openSession({
    url: vault.url,
    login: byToken(vault.root),
    connections: atOnce,
  });
  const raw = new RawWriter(vault);
  try {
    const key = join(directory, "root.key");
    const sealer = await openEmbeddedSecrets({ directory, key, mayCreate: true });
    const keeper = vaultKeeper({ session, sealer, mount: "secret", prefix: "ours", shared: [] });
    const taken = { ours: [] as number[], raw: [] as number[], values: [] as number[] };
    for (let round = 0; round <= rounds; round += 1) {
      const values = await timed((at) => raw.writeValue(`values/${round}/${at}`));
      const both = await timed((at) => raw.writeBoth(`both/${round}/${at}`));
      const ours = await timed((at) => make(keeper, round, at));
      // The first round is for warming up.
      if (round === 0) continue;
      taken.values.push(values);
      taken.raw.push(both);
      taken.ours.push(ours);
    }
    return rowsOf(taken);
  } finally {
    await session.close();
    await raw.close();
    await vault.close();
    rmSync(directory, { recursive: true });
  }
}

function rowsOf(
  taken: Readonly<Record<"ours" | "raw" | "values", readonly number[]>>,
): readonly Row[] {
  const [ours, raw, values] = [median(taken.ours), median(taken.raw), median(taken.values)];
  return [
    {
      name: `1,000 secrets in Vault: made (${ours.toFixed(0)} ms; raw ${raw.toFixed(0)} ms)`,
      value: ours / raw,
      unit: "× raw writes of values and marks",
      target: "≤ 1.2",
      ok: ours / raw <= 1.2,
    },
    {
      name: `the same (raw ${values.toFixed(0)} ms)`,
      value: ours / values,
      unit: "× raw writes of values alone",
      target: "shown",
      ok: true,
    },
  ];
}

async function make(keeper: SecretKeeper, round: number, at: number): Promise<void> {
  const order: SecretOrder = {
    environmentId: `env_${round}`,
    template: "bench",
    name: `secret_${at}`,
    version: 1,
    previous: null,
    declaration: { length: 32, charset: "alphanumeric" },
    signal: new AbortController().signal,
  };
  await keeper.make(order);
}

/** Sends what must be sent and looks at nothing but the status. */
class RawWriter {
  readonly #connection: HttpConnection;
  readonly #token: string;

  constructor(vault: Vault) {
    this.#token = vault.root;
    this.#connection = new HttpConnection({
      url: vault.url,
      name: "Vault",
      connections: atOnce,
    });
  }

  async writeValue(name: string): Promise<void> {
    const data = { value: "x".repeat(32), made_for: `env_0/bench/${name}/1` };
    await this.#post(`data/${name}`, { options: { cas: 0 }, data });
  }

  async writeBoth(name: string): Promise<void> {
    await this.writeValue(name);
    const marks = { owner: "glasshouse", environment: "env_0", secret: name };
    await this.#post(`metadata/${name}`, { custom_metadata: marks });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #post(path: string, body: object): Promise<void> {
    const { status } = await this.#connection.send({
      method: "POST",
      path: `/v1/secret/${path}`,
      headers: { "x-vault-token": this.#token, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
      mostBytes: 1_000_000,
    });
    if (status >= 300) throw new Error(`${path}: ${status}`);
  }
}

/** Milliseconds for all, so many under way at once. */
async function timed(act: (at: number) => Promise<void>): Promise<number> {
  let next = 0;
  const begun = performance.now();
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await act(next);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return performance.now() - begun;
}
