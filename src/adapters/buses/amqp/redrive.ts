import { setTimeout as sleep } from "node:timers/promises";
import type { Channel, SyncMessage } from "rabbitmq-client";
import { busNames, deadHeaders } from "../../../contract/bus.ts";
import type { RedriveRequest, Redriven } from "../../../ports/bus.ts";
import type { Link } from "./link.ts";
import { revivedOf, textOf } from "./message.ts";

/** Dead letters that one call looks at: they are held back from others meanwhile. */
const mostLookedAt = 10_000;
/** Moved at once; each leaves the dead letters when it is confirmed among the commands. */
const batch = 100;
/** How long what was only looked at may take to be among the dead letters again. */
const giveBackMs = 2_000;

/**
 * Looks through the dead letters that are there now and moves those that are wanted. One that fails again comes back as a new
 * dead letter, which this call does not see. A crash in between leaves a message in both places: taking it twice is one command.
 */
export async function redrive(link: Link, asked: RedriveRequest): Promise<Redriven> {
  await link.declare();
  const channel = await link.connection.acquire();
  try {
    const queue = busNames.deadLetters;
    const { messageCount } = await channel.queueDeclare({ queue, passive: true });
    const reasons: Record<string, number> = {};
    const wanted: SyncMessage[] = [];
    let moved = 0;
    for (let looked = 0; looked < Math.min(messageCount, mostLookedAt); looked += 1) {
      if (moved + wanted.length >= asked.limit) break;
      const message = await channel.basicGet({ queue });
      if (message === undefined) break;
      const reason = reasonOf(message);
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      if (asked.reason !== null && asked.reason !== reason) continue;
      if (asked.dryRun) {
        moved += 1;
        continue;
      }
      wanted.push(message);
      if (wanted.length === batch) moved += await move(link, channel, wanted.splice(0));
    }
    moved += await move(link, channel, wanted);
    const left = Math.max(0, messageCount - (asked.dryRun ? 0 : moved));
    await giveBack(channel, left);
    return { moved, left, reasons };
  } finally {
    // After a fault: what was looked at and not acknowledged goes back to the dead letters.
    await channel.close();
  }
}

/** Puts back what was only looked at, and waits until it is there again: the next call must not miss it. */
async function giveBack(channel: Channel, left: number): Promise<void> {
  // The tag 0 stands for all that this channel holds.
  channel.basicNack({ deliveryTag: 0, multiple: true, requeue: true });
  const deadline = performance.now() + giveBackMs;
  while (performance.now() < deadline) {
    const queue = busNames.deadLetters;
    const { messageCount } = await channel.queueDeclare({ queue, passive: true });
    if (messageCount >= left) return;
    await sleep(20);
  }
}

async function move(
  link: Link,
  channel: Channel,
  messages: readonly SyncMessage[],
): Promise<number> {
  if (messages.length === 0) return 0;
  const outcomes = await link.answers.send(
    messages.map((message) => revivedOf(message, link.self)),
  );
  let moved = 0;
  for (const [at, message] of messages.entries()) {
    if (outcomes[at] !== "sent") continue;
    channel.basicAck({ deliveryTag: message.deliveryTag });
    moved += 1;
  }
  return moved;
}

/** What we said, or what the broker says of a message that it laid down itself: `delivery_limit`. */
function reasonOf({ headers }: SyncMessage): string {
  const own = textOf(headers?.[deadHeaders.reason]);
  if (own !== null) return own;
  const deaths: unknown = headers?.["x-death"];
  const [last]: readonly unknown[] = Array.isArray(deaths) ? deaths : [];
  if (typeof last !== "object" || last === null || !("reason" in last)) return "unknown";
  return textOf(last.reason)?.replaceAll("_", "-") ?? "unknown";
}
