import { Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Cell } from "../sql/session.ts";
import type { Tables } from "../sql/tables.ts";
import type { Connection } from "./connection.ts";

/** Kysely over our connection. It builds statements; transactions are the store's affair. */
export function queryBuilder(connection: Connection): Kysely<Tables> {
  const shared = new SharedConnection(connection);
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SharedDriver(shared),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<Tables>({ dialect });
}

class SharedDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(connection: DatabaseConnection) {
    this.#connection = connection;
  }

  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
  async beginTransaction(): Promise<void> {
    throw refused();
  }
  async commitTransaction(): Promise<void> {
    throw refused();
  }
  async rollbackTransaction(): Promise<void> {
    throw refused();
  }
}

class SharedConnection implements DatabaseConnection {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const parameters = query.parameters.map((parameter) => cell(parameter));
    if (this.#connection.givesRows(query.sql)) {
      return { rows: this.#connection.all<R>(query.sql, parameters) };
    }
    const changed = BigInt(this.#connection.change(query.sql, parameters));
    return { rows: [], numAffectedRows: changed };
  }

  // oxlint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw refused();
  }
}

function cell(parameter: unknown): Cell {
  if (parameter === null || parameter instanceof Uint8Array) return parameter;
  if (typeof parameter === "string" || typeof parameter === "number") return parameter;
  if (typeof parameter === "boolean") return parameter;
  throw new GlasshouseError(
    "internal",
    `A query has a parameter of the type ${typeof parameter}, which a column cannot hold.`,
  );
}

function refused(): GlasshouseError {
  return new GlasshouseError("internal", "Transactions are begun by the store, not by a query.");
}
