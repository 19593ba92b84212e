import { translate } from "./errors.ts";
import { Hosts } from "./hosts.ts";
import { targetsOf, type TargetOptions } from "./target.ts";

/** What somebody who sets a server up wants to know of it. */
export interface ServerLook {
  readonly version: string;
  /** `host:port/database`. */
  readonly name: string;
  readonly isEncrypted: boolean;
  /** How many more connections it would take. */
  readonly connectionsFree: number;
}

const look = `select current_setting('server_version') as "version",
   (select "ssl" from pg_stat_ssl where "pid" = pg_backend_pid()) as "isEncrypted",
   current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
     - (select count(*)::int from pg_stat_activity where "backend_type" = 'client backend') as "connectionsFree"`;

/** Connects once and looks. Errors: `unavailable`, `invalid-configuration`, and the server's own refusals. */
export async function lookAtServer(
  of: Omit<TargetOptions, "limits"> & { readonly connectMs: number },
): Promise<ServerLook> {
  const { connectMs } = of;
  const limits = {
    connectMs,
    statementMs: connectMs,
    lockMs: connectMs,
    idleInTransactionMs: connectMs,
  };
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const targets = targetsOf({ ...of, limits });
  const hosts = new Hosts(() => targets, quiet);
  try {
    const connection = await hosts.open();
    try {
      const { rows } = await connection.query<Omit<ServerLook, "name">>(look);
      const [row] = rows;
      if (row === undefined) throw new Error("PostgreSQL said nothing of itself");
      return { ...row, name: hosts.name };
    } finally {
      await connection.end();
    }
  } catch (error) {
    throw translate(error);
  }
}
