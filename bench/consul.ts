import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { consulKvExecutor } from "../src/adapters/executors/consul-kv/index.ts";
import { transact, type KvOperation } from "../src/clients/consul/kv.ts";
import { HttpConnection, type HttpRequest } from "../src/clients/http/connection.ts";
import { TestGroup, type GroupCase } from "../src/testing/executor-group.ts";
import { consulClientOver } from "../test/support/consul-client.ts";
import { Consul } from "../test/support/consul.ts";
import { median, type Row } from "./measure.ts";

const rounds = 9;
/** Rounds before those, of both: a server that makes keys has made some before. */
const warmUps = 8;
/** One alone takes less than can be told from what else a process does. */
const looks = 20;
/** As Consul takes them; ours keep one of these for the fence. */
const mostOperations = 128;

/**
 * Keys in a real Consul on this machine: a group of so many keys made by the executor, against raw transactions that only set the
 * same values; a look at what has not changed. Requests are counted on the connection.
 */
export async function consulKeys(): Promise<readonly Row[]> {
  const consul = await Consul.start();
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  try {
    const rows: Row[] = [];
    for (const count of [1_000, 10_000]) rows.push(...(await measure(consul, directory, count)));
    return rows;
  } finally {
    await consul.close();
    rmSync(directory, { recursive: true });
  }
}

async function measure(consul: Consul, directory: string, count: number): Promise<readonly Row[]> {
  const connection = new HttpConnection({ url: consul.url(), name: "Consul", connections: 8 });
  const sent: HttpRequest[] = [];
  const client = consulClientOver(
    {
      send: (request) => {
        sent.push(request);
        return connection.send(request);
      },
    },
    consul.token,
  );
  const executor = consulKvExecutor({ client, datacenter: null });
  const taken = { raw: [] as number[], ours: [] as number[], look: [] as number[] };
  const requests = { transactions: 0, all: 0, look: 0 };
  const cpuMs: number[] = [];
  let firstRatio = Number.NaN;
  for (let round = 0; round < warmUps + rounds; round += 1) {
    if (round === 1) firstRatio = median(taken.ours) / median(taken.raw);
    if (round === warmUps)
      for (const list of [taken.raw, taken.ours, taken.look, cpuMs]) list.length = 0;
    const begun = performance.now();
    for (const part of rawParts(`raw/${count}/${round}/`, count))
      await transact(client, part, { datacenter: null });
    taken.raw.push(performance.now() - begun);

    const group = new TestGroup(join(directory, `${count}-${round}`), groupOf(count, round));
    sent.length = 0;
    const applied = performance.now();
    group.keep(await executor.apply(group.context()));
    taken.ours.push(performance.now() - applied);
    requests.all = sent.length;
    // The fence's own comes before.
    requests.transactions = sent.filter(({ path }) => path.startsWith("/v1/txn")).length - 1;

    // The first look compares all of them; the second finds their names as Consul writes them, which costs once what they are.
    for (let look = 0; look < 2; look += 1) await executor.observe(group.context());
    sent.length = 0;
    const cpu = process.cpuUsage();
    const looked = performance.now();
    let isSame = true;
    for (let look = 0; look < looks; look += 1)
      isSame &&= (await executor.observe(group.context())).drift === "none";
    taken.look.push((performance.now() - looked) / looks);
    const { user, system } = process.cpuUsage(cpu);
    cpuMs.push((user + system) / 1_000 / looks);
    requests.look = isSame ? sent.length / looks : Number.NaN;
  }
  await connection.close();
  return rowsOf(count, { taken, firstRatio, requests, lookCpuMs: median(cpuMs) });
}

function rowsOf(
  count: number,
  of: {
    readonly taken: Readonly<Record<"raw" | "ours" | "look", readonly number[]>>;
    readonly requests: {
      readonly transactions: number;
      readonly all: number;
      readonly look: number;
    };
    readonly firstRatio: number;
    readonly lookCpuMs: number;
  },
): readonly Row[] {
  const { taken, firstRatio, requests, lookCpuMs } = of;
  const name = `${count.toLocaleString("en")} keys in Consul`;
  const [ours, raw] = [median(taken.ours), median(taken.raw)];
  const ratio = ours / raw;
  const least = Math.ceil(count / (mostOperations - 1));
  return [
    {
      name: `${name}: made (${ours.toFixed(0)} ms; raw ${raw.toFixed(0)} ms)`,
      value: ratio,
      unit: "× raw transactions",
      target: "≤ 1.2",
      ok: ratio <= 1.2,
    },
    {
      name: `${name}: made by a process that has made none before`,
      value: firstRatio,
      unit: "× the same",
      target: "shown",
      ok: true,
    },
    {
      name: `${name}: transactions (${requests.all} requests in all)`,
      value: requests.transactions,
      unit: "transactions",
      target: `= ${least}, n/127`,
      ok: requests.transactions === least,
    },
    {
      name: `${name}: a look, nothing changed (${median(taken.look).toFixed(1)} ms)`,
      value: requests.look,
      unit: "requests",
      target: "= 1",
      ok: requests.look === 1,
    },
    {
      name: `${name}: processor time of that look`,
      value: lookCpuMs,
      unit: "ms",
      target: "≤ 1",
      ok: lookCpuMs <= 1,
    },
  ];
}

function rawParts(prefix: string, count: number): readonly (readonly KvOperation[])[] {
  const operations = Array.from({ length: count }, (_, at): KvOperation => ({
    verb: "cas",
    key: `${prefix}k${at}`,
    value: Buffer.from(valueOf(at)).toString("base64"),
    flags: 0,
    index: 0,
  }));
  return Array.from({ length: Math.ceil(count / mostOperations) }, (_, at) =>
    operations.slice(at * mostOperations, (at + 1) * mostOperations),
  );
}

function groupOf(count: number, round: number): GroupCase {
  const keys = Array.from({ length: count }, (_, at) => [`k${at}`, valueOf(at)] as const);
  const settings = { prefix: `bench/${count}/${round}/`, keys: Object.fromEntries(keys) };
  return { settings, files: {}, outputs: [] };
}

function valueOf(at: number): string {
  return `value ${at} of a service`;
}
