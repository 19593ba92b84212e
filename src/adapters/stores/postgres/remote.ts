import { GlasshouseError, StoreFault } from "../../../domain/errors.ts";
import type { Connection } from "../../../clients/postgres/connection.ts";
import type { Remote } from "../../../clients/resilience/remote.ts";
import type { Remotes } from "../../../clients/resilience/remotes.ts";
import { faultKind } from "../../../clients/postgres/errors.ts";

/**
 * The database as something that is called: every opening of a connection goes through it. While it is down whoever wants a
 * connection is told so at once, and one look in a second at most finds out that it is back. It does not repeat: transactions
 * know best whether they may run again, and what listens and numbers goes on trying for as long as it lives.
 */
export function databaseRemote(remotes: Pick<Remotes, "remote">): Remote {
  return remotes.remote({
    kind: "store",
    name: "PostgreSQL",
    advice:
      "Nothing is lost: work goes on by itself once it answers. Look at the database, at store.url and store.password, and at max_connections.",
    tries: 1,
    breaker: { failures: 3, firstMs: 250, mostMs: 1_000 },
    // A wrong password or a missing database is an answer.
    isDown: (error) => faultKind(error) === "lost",
  });
}

/**
 * Opens a connection, through the remote where there is one. Errors: those of the driver; whatever the product itself says
 * against it, such as that nothing is sent to what is down, as a `StoreFault`: it is nobody's own.
 */
export async function openThrough(
  remote: Pick<Remote, "call"> | null,
  open: () => Promise<Connection>,
): Promise<Connection> {
  try {
    return remote === null ? await open() : await remote.call(open, { repeatable: false });
  } catch (error) {
    if (!(error instanceof GlasshouseError) || error instanceof StoreFault) throw error;
    const { code, message, details, retryAfterMs } = error;
    const pause = retryAfterMs === null ? {} : { retryAfterMs };
    throw new StoreFault(code, message, { details, cause: error, ...pause });
  }
}
