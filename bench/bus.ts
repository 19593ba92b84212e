import { Rabbitmq, rabbitmqSkip } from "../test/support/rabbitmq.ts";
import { postgresSkip, TestPostgres } from "../test/support/postgres.ts";
import { testDirectory } from "../test/support/server.ts";
import { BenchClient } from "./bus-client.ts";
import { BusChild } from "./bus-child.ts";
import { median, type Row } from "./measure.ts";

const rounds = 5;
const commandsARound = 1_200;
const echoes = 60;
const warmUps = 5;
/** Commands before anything is measured: both sides are compiled by then. */
const warmUpCommands = 300;

/** The way in and out over RabbitMQ, against loops of the same client that do only what durability asks for. */
export async function bus(): Promise<readonly Row[]> {
  if (rabbitmqSkip !== false) throw new Error(`the suite bus needs RabbitMQ: ${rabbitmqSkip}`);
  const rows = await overSqlite();
  return postgresSkip === false ? [...rows, ...(await overPostgres())] : rows;
}

async function overSqlite(): Promise<readonly Row[]> {
  return measure("SQLite", { ours: "sqlite", raw: "sqlite" });
}

async function overPostgres(): Promise<readonly Row[]> {
  const postgres = await TestPostgres.start({ fsync: true });
  try {
    const url = async (): Promise<string> => postgres.url(await postgres.createDatabase());
    return await measure("PostgreSQL", { ours: await url(), raw: await url() });
  } finally {
    await postgres.remove();
  }
}

interface Sides {
  readonly client: BenchClient;
  readonly ours: BusChild;
  readonly raw: BusChild;
}

async function measure(
  store: string,
  urls: { readonly ours: string; readonly raw: string },
): Promise<readonly Row[]> {
  const broker = await Rabbitmq.start();
  const directory = await testDirectory();
  const client = new BenchClient(broker.url);
  await client.declare();
  const start = (fixture: string, url: string): BusChild =>
    new BusChild(fixture, [directory.path, url, broker.url]);
  const sides = {
    client,
    ours: start("bus-ours.fixture.ts", urls.ours),
    raw: start("bus-raw.fixture.ts", urls.raw),
  };
  try {
    await Promise.all([sides.ours.ask("ready"), sides.raw.ask("ready")]);
    const latency = await firstStep(sides);
    return [...latency, ...(await rates(sides, { isWide: urls.raw !== "sqlite" }))].map((row) => ({
      ...row,
      name: `bus, ${store}: ${row.name}`,
    }));
  } finally {
    await Promise.all([sides.ours.end(), sides.raw.end()]);
    client.close();
    await broker.close();
    await directory.remove();
  }
}

/** One command at a time, with rests between, in turns with the echo. */
async function firstStep({ client, ours }: Sides): Promise<readonly Row[]> {
  await ours.ask("work");
  await client.fill("commands", { count: warmUpCommands, prefix: "warm" });
  await client.echoes(warmUpCommands);
  await ours.ask("idle");
  const [begun, told, echoed]: [number[], number[], number[]] = [[], [], []];
  for (let at = 0; at < echoes + warmUps; at += 1) {
    const started = await client.order(`first-${at}`, ours.hears("begun"));
    const echo = await client.echo();
    if (at < warmUps) continue;
    begun.push(started.begunMs);
    told.push(started.toldMs);
    echoed.push(echo);
  }
  await ours.ask("rest");
  await client.forgetEvents();
  const value = median(begun) / median(echoed);
  const figures = `${median(begun).toFixed(1)} ms; raw ${median(echoed).toFixed(1)} ms`;
  return [
    {
      name: `publish → first step begun, p50 (${figures})`,
      value,
      unit: "× raw client's echo with one commit",
      target: "≤ 1.25",
      ok: value <= 1.25,
    },
    {
      name: "publish → the client is told of it, p50",
      value: median(told) / median(echoed),
      unit: "× the same",
      target: "shown",
      ok: true,
    },
  ];
}

async function rates(
  sides: Sides,
  { isWide }: { readonly isWide: boolean },
): Promise<readonly Row[]> {
  const { client, ours, raw } = sides;
  const [taking, passing, wide]: [number[], number[], number[]] = [[], [], []];
  const perSecond: { taken: number[]; sent: number[] } = { taken: [], sent: [] };
  for (let round = 0; round <= rounds; round += 1) {
    const count = round === 0 ? warmUpCommands : commandsARound;
    const took = await accepts(sides, { round, count });
    const wideMs = isWide ? await rawWide(sides, { round, count }) : Number.NaN;
    const events = await ours.ask("behind");
    const relayMs = await ours.ask("relay");
    await raw.ask("keep", events);
    const publishMs = await raw.ask("publish");
    await client.forgetEvents();
    if (round === 0) continue;
    taking.push(took.rawMs / took.oursMs);
    wide.push(wideMs / took.oursMs);
    passing.push(publishMs / relayMs);
    perSecond.taken.push((count / took.oursMs) * 1_000);
    perSecond.sent.push((events / relayMs) * 1_000);
  }
  return [
    atLeast(`commands taken, ${median(perSecond.taken).toFixed(0)}/s`, {
      values: taking,
      unit: "× raw consume, commit, acknowledge",
      least: 0.7,
    }),
    ...(isWide
      ? [
          {
            name: "the same",
            value: median(wide),
            unit: "× raw with 16 commits at once",
            target: "shown",
            ok: true,
          },
        ]
      : []),
    atLeast(`events sent, ${median(perSecond.sent).toFixed(0)}/s`, {
      values: passing,
      unit: "× raw confirm publisher",
      least: 0.8,
    }),
  ];
}

/** Not a loop any more: as many commits at once as a server has connections. */
async function rawWide(
  { client, raw }: Sides,
  { round, count }: { readonly round: number; readonly count: number },
): Promise<number> {
  await raw.ask("shut");
  await client.fill("raw", { count, prefix: `wide-${round}` });
  return raw.ask("takeWide", count);
}

/** As many commands to each side, whoever is first taking turns; all are in their queue before the first is taken. */
async function accepts(
  { client, ours, raw }: Sides,
  { round, count }: { readonly round: number; readonly count: number },
): Promise<{ readonly oursMs: number; readonly rawMs: number }> {
  const side = async (child: BusChild, queue: "commands" | "raw"): Promise<number> => {
    await child.ask("shut");
    await client.fill(queue, { count, prefix: `round-${round}` });
    return child.ask("take", count);
  };
  if (round % 2 === 0) {
    const oursMs = await side(ours, "commands");
    return { oursMs, rawMs: await side(raw, "raw") };
  }
  const rawMs = await side(raw, "raw");
  return { rawMs, oursMs: await side(ours, "commands") };
}

function atLeast(
  name: string,
  of: { readonly values: readonly number[]; readonly unit: string; readonly least: number },
): Row {
  const value = median(of.values);
  return { name, value, unit: of.unit, target: `≥ ${of.least}`, ok: value >= of.least };
}
