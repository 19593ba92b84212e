import { postgresSkip } from "../test/support/postgres.ts";
import { rabbitmqSkip } from "../test/support/rabbitmq.ts";
import { RotationSite } from "../test/support/rotation.ts";
import { vaultSkip } from "../test/support/vault-program.ts";
import type { BenchOptions, Row } from "./measure.ts";

const rotations = 50;
const perSecond = 100;
/** A third of it is the time to go over; another user each thirteen seconds. */
const lease = "20s";
const limitMs = 1_800_000;

/**
 * A real server on PostgreSQL and RabbitMQ whose users a Vault makes: both are replaced so often while commands come over the bus. Each
 * must be answered as completed.
 */
export async function credentials({ runs }: BenchOptions): Promise<readonly Row[]> {
  for (const missing of [vaultSkip, postgresSkip, rabbitmqSkip])
    if (missing !== false) throw new Error(`the suite credentials cannot run: ${missing}`);
  const wanted = runs ?? rotations;
  const at = await RotationSite.open(lease);
  try {
    const begunAtMs = performance.now();
    const { sent, failed } = await at.load(perSecond, at.rotated(wanted, limitMs));
    const seconds = (performance.now() - begunAtMs) / 1_000;
    for (const why of failed.slice(0, 5)) process.stderr.write(`${why}\n`);
    const { store, bus } = at.rotations;
    return [
      {
        name: `users replaced ${store} times in PostgreSQL, ${bus} at RabbitMQ: failed`,
        value: failed.length,
        unit: `of ${sent} commands, ${(sent / seconds).toFixed(0)}/s`,
        target: "= 0",
        ok: failed.length === 0 && Math.min(store, bus) >= wanted,
      },
    ];
  } finally {
    await at.close();
  }
}
