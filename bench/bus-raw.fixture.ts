import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { Connection, type AsyncMessage, type Channel, type Envelope } from "rabbitmq-client";
import { answerParent, Gate } from "./bus-child.ts";
import { rawQueue, eventsQueue, prefetch, windowSize } from "./bus-setting.ts";

/** Writes a message down for good. */
type Commit = (id: string, body: Buffer) => Promise<void> | void;

const insert = "insert into inbox (id, body) values";

/**
 * The least that the same promises cost with the same client: a loop that takes a message, commits it and acknowledges, and
 * one that publishes with confirms. Arguments: directory, `store.url`, `bus.url`.
 */
async function main([directory = "", store = "", bus = ""]: readonly string[]): Promise<void> {
  const connection = new Connection({ url: bus, frameMax: 131_072, noDelay: true });
  connection.on("error", () => undefined);
  const gate = new Gate();
  const commits = store === "sqlite" ? openSqlite(directory) : await openPostgres(store);
  let isWide = false;
  await consume(connection, {
    gate,
    commit: (id, body) => (isWide ? commits.wide : commits.loop)(id, body),
  });
  let kept: readonly Kept[] = [];
  answerParent({
    ready: async () => 0,
    shut: async () => {
      gate.shut();
      return 0;
    },
    take: (count) => {
      isWide = false;
      return gate.take(count);
    },
    /** Over as many connections as a server has. */
    takeWide: (count) => {
      isWide = true;
      return gate.take(count);
    },
    keep: async (count) => {
      kept = await collect(connection, count);
      return kept.length;
    },
    publish: () => publish(connection, kept),
  });
}

interface Commits {
  /** One after the other. */
  readonly loop: Commit;
  /** Many at once, where that is possible. */
  readonly wide: Commit;
}

/** As the product's own store is set up. */
function openSqlite(directory: string): Commits {
  const database = new DatabaseSync(join(directory, "raw.db"));
  database.exec(
    "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 4000;" +
      "create table inbox (id text primary key, body blob not null)",
  );
  const statement = database.prepare(`${insert} (?, ?)`);
  const commit: Commit = (id, body) => void statement.run(id, body);
  return { loop: commit, wide: commit };
}

function commitOn(pool: pg.Pool): Commit {
  return async (id, body) => {
    await pool.query({ name: "inbox", text: `${insert} ($1, $2)`, values: [id, body] });
  };
}

async function openPostgres(url: string): Promise<Commits> {
  const open = (max: number): pg.Pool => new pg.Pool({ connectionString: url, max });
  const one = open(1);
  await one.query("create table inbox (id text primary key, body bytea not null)");
  return { loop: commitOn(one), wide: commitOn(open(16)) };
}

/** Whoever wants an answer gets the body back. */
async function consume(
  connection: Connection,
  { gate, commit }: { readonly gate: Gate; readonly commit: Commit },
): Promise<void> {
  const channel = await connection.acquire();
  const answers = await connection.acquire();
  await answers.confirmSelect();
  await channel.basicQos({ prefetchCount: prefetch });
  await channel.basicConsume({ queue: rawQueue }, (message) => {
    void take(message);
  });
  const take = async (message: AsyncMessage): Promise<void> => {
    await gate.enter();
    const body = Buffer.from(message.body);
    await commit(message.messageId ?? "", body);
    const { replyTo, correlationId } = message;
    if (replyTo !== undefined)
      await answers.basicPublish(
        { routingKey: replyTo, correlationId: correlationId ?? "", durable: true },
        body,
      );
    channel.basicAck({ deliveryTag: message.deliveryTag });
    gate.leave();
  };
}

interface Kept {
  readonly envelope: Envelope;
  readonly body: Buffer;
}

/** What the product has sent, as it came: the same is then sent by the raw publisher. */
async function collect(connection: Connection, count: number): Promise<readonly Kept[]> {
  const channel = await connection.acquire();
  const kept: Kept[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await channel.basicQos({ prefetchCount: 1_000 });
  await channel.basicConsume({ queue: eventsQueue }, (message) => {
    if (kept.length === count) return;
    const { exchange, routingKey, contentType, messageId, type, appId } = message;
    const envelope = {
      exchange,
      routingKey,
      durable: true,
      contentType: contentType ?? "",
      messageId: messageId ?? "",
      type: type ?? "",
      appId: appId ?? "",
      timestamp: message.timestamp ?? 0,
      headers: message.headers ?? {},
    };
    kept.push({ envelope, body: Buffer.from(message.body) });
    channel.basicAck({ deliveryTag: message.deliveryTag });
    if (kept.length === count) resolve();
  });
  await promise;
  await channel.close();
  return kept;
}

/** With so many unconfirmed at once as the product has. */
async function publish(connection: Connection, kept: readonly Kept[]): Promise<number> {
  const channel = await connection.acquire();
  await channel.confirmSelect();
  const begun = performance.now();
  await publishAll(channel, kept);
  const tookMs = performance.now() - begun;
  await channel.close();
  return tookMs;
}

async function publishAll(channel: Channel, kept: readonly Kept[]): Promise<void> {
  const window: Promise<void>[] = [];
  for (const [at, { envelope, body }] of kept.entries()) {
    // Confirms come in order, so that of the oldest frees a place.
    if (at >= windowSize) await window[at % windowSize];
    window[at % windowSize] = channel.basicPublish({ ...envelope }, body);
  }
  await Promise.all(window);
}

await main(process.argv.slice(2));
