import pg from "pg";
import { GlasshouseError, StoreFault } from "../../domain/errors.ts";

/** The connection is gone, and with it the answer to what was sent on it. */
export class ConnectionLost extends Error {
  constructor(cause: unknown) {
    super(`The connection to PostgreSQL is lost: ${wordsOf(cause)}`, { cause });
  }
}

/**
 * What to do after an error. `rerun`: others were in the way (serialization failure, deadlock, change of the schema, a row that is
 * pointed to is gone), all of it runs again.
 * `overtaken`: a row came in between, and a second look would see it. `lost`: the server or the way to it is gone.
 */
export type FaultKind = "rerun" | "overtaken" | "lost" | "other";

export function faultKind(error: unknown): FaultKind {
  if (error instanceof ConnectionLost) return "lost";
  const code = sqlState(error);
  if (code === null) return "other";
  // Standbys cancel what stands in the way of replay with 40001 too, and a server that became one refuses writes.
  // What a new row points to (23503) has been taken away since it was read.
  if (["40001", "40P01", "23503"].includes(code) || isStalePlan(error)) return "rerun";
  if (code === "23505") return "overtaken";
  if (code.startsWith("08") || lostCodes.includes(code)) return "lost";
  return "other";
}

/** Shutdown, crash, not yet accepting, too many connections, a standby in place of the primary. */
const lostCodes: readonly string[] = ["57P01", "57P02", "57P03", "57P05", "53300", "25006"];

/** Wrong password, no way in for this user or without TLS, no such database, no right to it. */
const refusalCodes: readonly string[] = ["28P01", "28000", "3D000", "42501"];

/** Wrong password, or no such user: what a user that was taken away gets. */
export function isLoginRefused(error: unknown): boolean {
  return ["28P01", "28000"].includes(sqlState(error) ?? "");
}

/** The five characters of https://www.postgresql.org/docs/15/errcodes-appendix.html, or null. */
export function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/**
 * A prepared statement gives other columns than when it was prepared: the schema was changed meanwhile. The code is that of
 * everything that is not supported, so the place in the server that raises it counts, as its words depend on its language
 * (RevalidateCachedQuery in https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/cache/plancache.c).
 * Or it is not there: what was to prepare it was left alone after an error, and that was not known yet.
 */
export function isStalePlan(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  const isChanged = error.code === "0A000" && error.routine === "RevalidateCachedQuery";
  return isChanged || error.code === "26000";
}

/** Gives a fault of the database the product's words; other errors pass through. */
export function translate(error: unknown): unknown {
  if (error instanceof GlasshouseError) return error;
  const code = sqlState(error);
  const kind = faultKind(error);
  if (code !== null && refusalCodes.includes(code)) {
    return new StoreFault(
      "invalid-configuration",
      `PostgreSQL refuses: ${wordsOf(error)}. Look at store.url, store.password (or store.credentials) and store.tls, and at what the database has of user, password, database and pg_hba.conf.`,
      { cause: error },
    );
  }
  if (code === "53100" || code === "58030") {
    return new StoreFault(
      "storage-full",
      "PostgreSQL could not write: its disk is full or fails. Make room; work goes on by itself.",
      { cause: error },
    );
  }
  if (code === "25P03") {
    return new StoreFault(
      "unavailable",
      "PostgreSQL ended a transaction because nothing was heard of it for too long.",
      { cause: error },
    );
  }
  if (kind === "rerun" || code === "55P03" || code === "57014") {
    return new StoreFault(
      "unavailable",
      `PostgreSQL could not do it in time because of others: ${wordsOf(error)}`,
      { cause: error },
    );
  }
  if (kind === "lost" || code?.startsWith("53") === true) {
    return new StoreFault("unavailable", `PostgreSQL is not there: ${wordsOf(error)}`, {
      cause: error,
    });
  }
  if (code !== null && isOfServer(code)) {
    return new StoreFault(
      "unavailable",
      `PostgreSQL cannot be used: ${wordsOf(error)}. Look at its log.`,
      { cause: error },
    );
  }
  return error;
}

/** Files of the server that are missing or damaged, and a database that was dropped. */
function isOfServer(code: string): boolean {
  return code.startsWith("58") || ["57P04", "XX001", "XX002"].includes(code);
}

export function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map((each) => wordsOf(each)).join("; ");
  return error instanceof Error ? error.message : String(error);
}
