import { setTimeout as sleep } from "node:timers/promises";
import type { BusClient } from "./bus-client.ts";
import type { BusSite } from "./bus-site.ts";
import type { Site } from "./site.ts";
import { until } from "./site.ts";

/** The template that load is made of: one quick group. */
export async function registerLoad(site: Site): Promise<void> {
  await site.register({ name: "load", groups: { web: "1" } });
}

/** Orders so many environments, one every `everyMs`; the broker may be away meanwhile. Gives name and command. */
export async function orderMany(
  client: BusClient,
  of: { readonly prefix: string; readonly count: number; readonly everyMs?: number },
): Promise<ReadonlyMap<string, string>> {
  const sent: Promise<readonly [string, string]>[] = [];
  for (let n = 0; n < of.count; n += 1) {
    const name = `${of.prefix}-${n}`;
    sent.push(orderOne(client, name));
    if (of.everyMs !== undefined) await sleep(of.everyMs);
  }
  return new Map(await Promise.all(sent));
}

/** A broker that is away comes back within this. */
const confirmedWithinMs = 120_000;

/** Sent until it is confirmed, so it may be sent twice. */
async function orderOne(client: BusClient, name: string): Promise<readonly [string, string]> {
  const deadline = Date.now() + confirmedWithinMs;
  for (;;) {
    if (Date.now() > deadline)
      throw new Error(`the client could not send ${name} in ${confirmedWithinMs} ms`);
    const command = {
      id: `order-${name}`,
      type: "environment.create",
      data: { name, template: "load" },
    };
    const sent = await Promise.race([client.send(command).catch(() => null), sleep(5_000, null)]);
    if (sent !== null) return [name, sent];
    await sleep(50);
  }
}

/**
 * All that breaks a promise, once every order has come to its end, or `limitMs` are over: lost, doubled, unanswered, gaps in what
 * was told.
 */
export async function loadComplaints(
  { site, client }: Pick<BusSite, "site" | "client">,
  orders: ReadonlyMap<string, string>,
  limitMs = 120_000,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  const deadline = Date.now() + limitMs;
  const leftMs = (): number => Math.max(0, deadline - Date.now());
  for (const [name, id] of orders) {
    const { status } = await untilOr(
      () => site.environment(name).catch(() => ({ status: "not there" })),
      leftMs(),
    );
    const made = (await site.outside.ledger(name)).filter((line) => line.startsWith("create "));
    if (made.length !== 1 || status !== "deployed-ok")
      complaints.push(`${name} is ${status} and was made ${made.length} times`);
    await client.reply(id, "command.completed", leftMs()).catch((error: unknown) => {
      complaints.push(`${name}: ${String(error)}`);
    });
    const told = site
      .events(name)
      .then(({ length }) =>
        client.until(
          () => client.toldOf(name) === length,
          `all ${length} events of ${name}`,
          leftMs(),
        ),
      );
    await told.catch((error: unknown) => {
      const seen = client.events.filter(({ subject }) => subject === `environments/${name}`);
      const sequences = seen.map(({ sequence }) => sequence).join(" ");
      complaints.push(`${name}: ${String(error)}; there came ${sequences}`);
    });
  }
  return complaints;
}

/** The environment when it is well, or as it was last. */
async function untilOr(
  look: () => Promise<{ readonly status: string }>,
  limitMs: number,
): Promise<{ readonly status: string }> {
  return until(look, ({ status }) => status === "deployed-ok", limitMs).catch(look);
}
