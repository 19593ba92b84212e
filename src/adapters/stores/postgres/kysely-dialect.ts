import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Cell } from "../sql/session.ts";
import type { Tables } from "../sql/tables.ts";
import type { Answer } from "../../../clients/postgres/connection.ts";

/** Sends what was built. */
export interface QueryTarget {
  query<R>(sql: string, values: readonly Cell[]): Promise<Answer<R>>;
}

/** Kysely for one transaction after another: making it costs more than most transactions, so it is used again. */
export class QueryBuilder {
  readonly db: Kysely<Tables>;
  readonly #free: (builder: QueryBuilder) => void;
  #target: QueryTarget | null = null;

  constructor(free: (builder: QueryBuilder) => void) {
    this.#free = free;
    const shared = new SharedConnection(() => this.#target);
    const dialect: Dialect = {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new SharedDriver(shared),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    };
    this.db = new Kysely<Tables>({ dialect });
  }

  use(target: QueryTarget): void {
    this.#target = target;
  }

  leave(): void {
    if (this.#target === null) return;
    this.#target = null;
    this.#free(this);
  }
}

/** Keeps those that are not in use. */
export class QueryBuilders {
  readonly #free: QueryBuilder[] = [];

  take(): QueryBuilder {
    return this.#free.pop() ?? new QueryBuilder((builder) => this.#free.push(builder));
  }
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
  readonly #target: () => QueryTarget | null;

  constructor(target: () => QueryTarget | null) {
    this.#target = target;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const target = this.#target();
    if (target === null) throw new GlasshouseError("internal", "A query outlived its transaction.");
    const values = query.parameters.map((parameter) => cell(parameter));
    const { rows, count } = await target.query<R>(query.sql, values);
    return { rows: [...rows], numAffectedRows: BigInt(count) };
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
