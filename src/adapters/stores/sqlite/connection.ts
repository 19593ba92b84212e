import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, StatementSync } from "node:sqlite";
import type { Cell } from "../sql/session.ts";

/** Prepared statements kept at once: the product has some hundred; lists of names of any length must not add up. */
const statementsKept = 500;

interface Prepared {
  readonly statement: StatementSync;
  readonly gives: "rows" | "count";
}

/** One connection with its prepared statements, the least recently used forgotten first. Everything is synchronous. */
export class Connection {
  readonly database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  constructor(file: string, mode: "write" | "read") {
    this.database = new DatabaseSync(file, { readOnly: mode === "read", timeout: 5_000 });
    if (mode === "write") {
      this.database.exec(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;" +
          "pragma wal_autocheckpoint = 4000; pragma journal_size_limit = 67108864;" +
          "pragma cache_size = -32768; pragma temp_store = memory;",
      );
    } else {
      this.database.exec("pragma query_only = on; pragma cache_size = -16384;");
    }
  }

  /** Runs one statement; rows are trusted to be what its author stated. */
  all<R>(sql: string, parameters: readonly Cell[]): R[];
  all(sql: string, parameters: readonly Cell[]): unknown[] {
    const prepared = this.#prepare(sql);
    return prepared.statement.all(...parameters.map((cell) => bound(cell)));
  }

  /** Runs one statement and says how many rows it changed. */
  change(sql: string, parameters: readonly Cell[]): number {
    const prepared = this.#prepare(sql);
    return Number(prepared.statement.run(...parameters.map((cell) => bound(cell))).changes);
  }

  /** True when the statement gives rows. */
  givesRows(sql: string): boolean {
    return this.#prepare(sql).gives === "rows";
  }

  /** Rows that were changed since the connection was opened, undone changes among them. */
  totalChanges(): number {
    const rows = this.all<{ readonly changes: number }>(`select total_changes() as "changes"`, []);
    return rows[0]?.changes ?? 0;
  }

  get inTransaction(): boolean {
    return this.database.isTransaction;
  }

  /** Rolls back what is open, if anything is. */
  undo(): void {
    if (this.database.isTransaction) this.database.exec("rollback");
  }

  close(): void {
    this.#prepared.clear();
    if (this.database.isOpen) this.database.close();
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.database.prepare(sql);
    const made: Prepared = {
      statement,
      gives: statement.columns().length > 0 ? "rows" : "count",
    };
    const oldest = this.#prepared.keys().next().value;
    if (this.#prepared.size >= statementsKept && oldest !== undefined)
      this.#prepared.delete(oldest);
    this.#prepared.set(sql, made);
    return made;
  }
}

/** SQLite has no boolean. */
function bound(cell: Cell): SQLInputValue {
  return typeof cell === "boolean" ? Number(cell) : cell;
}
