import pg from "pg";

export interface Answer<R> {
  readonly rows: readonly R[];
  /** Rows changed, or given. */
  readonly count: number;
  /** The command as the server calls it: `COMMIT` may be answered by `ROLLBACK`. */
  readonly command: string;
  /** What the rows' column `whose` said, which is no part of them: taken out of a finished row it would cost more than the row. */
  readonly whose?: readonly number[];
}

/** The column by which a statement says whose each row is, where several asked. */
const whose = "at";

/** A parameter as it goes over the wire: text, or bytes as they are. */
export type Wire = string | Buffer | null;

/** A statement that is to be sent, and who waits for its answer. */
export interface Asked {
  readonly text: string;
  /** Absent: it is prepared anew each time. */
  readonly name?: string | undefined;
  readonly values: readonly Wire[];
  readonly resolve: (answer: Answer<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** What a connection has prepared, by name, with the columns of the rows that each statement gives. */
export type Prepared = Map<string, Columns>;

/** Null: it gives no rows, or they are not told yet. */
type Columns = {
  readonly names: readonly string[];
  readonly parsers: readonly ((text: string) => unknown)[];
  /** A copy of it is a row of this shape from the beginning, which is several times as fast as adding one column after another. */
  readonly empty: Readonly<Record<string, unknown>>;
} | null;

interface RowDescription {
  readonly fields: readonly {
    readonly name: string;
    readonly dataTypeID: Parameters<pg.CustomTypesConfig["getTypeParser"]>[0];
  }[];
}

/**
 * Statements that go out together and are answered together: the server writes to its socket once for all of them, while one
 * that asks for an answer at once costs such a write of its own, often more than its work. The rows of what was prepared are
 * not described again. After an error the server leaves the rest of them alone; they fail with the same error. Outside of a
 * transaction all of them are one.
 */
export class Volley extends pg.Query {
  readonly #asked: readonly Asked[];
  readonly #prepared: Prepared;
  readonly #types: pg.CustomTypesConfig;
  #at = 0;
  #columns: Columns = null;
  #rows: unknown[] = [];
  #whose: number[] = [];
  readonly #answers: Answer<unknown>[] = [];
  /** What it prepares itself. */
  readonly #prepares = new Set<string>();

  constructor(asked: readonly Asked[], prepared: Prepared, types: pg.CustomTypesConfig) {
    super("");
    this.#asked = asked;
    this.#prepared = prepared;
    this.#types = types;
  }

  // The library calls this and what is below.
  override readonly submit = (connection: pg.Connection): void => {
    connection.stream.cork();
    for (const { text, name = "", values } of this.#asked) {
      const isKnown = this.#prepared.has(name);
      if (!isKnown) this.#prepare(connection, { text, name });
      connection.bind({ statement: name, values: [...values] }, true);
      if (!isKnown) connection.describe({ type: "P", name: "" }, true);
      connection.execute(null, true);
    }
    connection.sync();
    connection.stream.uncork();
  };

  #prepare(
    connection: pg.Connection,
    { text, name }: { readonly text: string; readonly name: string },
  ): void {
    if (name !== "") {
      // It may be there from a volley that failed right after; what is not there may be closed too.
      connection.close({ type: "S", name }, true);
      this.#prepares.add(name);
      this.#prepared.set(name, null);
    }
    connection.parse({ text, name, types: [] }, true);
  }

  handleRowDescription({ fields }: RowDescription): void {
    const names = fields.map(({ name }) => name);
    const parsers = fields.map(({ dataTypeID }) => this.#types.getTypeParser(dataTypeID, "text"));
    const own = names.filter((name) => name !== whose);
    const empty = Object.fromEntries(own.map((name) => [name, null]));
    this.#columns = { names, parsers, empty };
    const { name } = this.#current();
    if (name !== undefined) this.#prepared.set(name, this.#columns);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const { name = "" } = this.#current();
    const columns = this.#columns ?? this.#prepared.get(name) ?? null;
    if (columns === null) return;
    const row: Record<string, unknown> = { ...columns.empty };
    for (let at = 0; at < fields.length; at += 1) {
      const cell = fields[at] ?? null;
      if (cell === null) continue;
      const column = columns.names[at] ?? "";
      if (column === whose) this.#whose.push(Number(cell));
      else row[column] = columns.parsers[at]?.(cell);
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const words = text.split(" ");
    const [command = "", ...counts] = words;
    const count = Number(counts.at(-1) ?? 0);
    this.#answers.push({ rows: this.#rows, count, command, whose: this.#whose });
    this.#rows = [];
    this.#whose = [];
    this.#columns = null;
    this.#at += 1;
  }

  /** All have been worked off, and what they did outside of a transaction is committed. */
  handleReadyForQuery(): void {
    for (const [at, { resolve }] of this.#asked.entries()) {
      const answer = this.#answers[at];
      if (answer !== undefined) resolve(answer);
    }
  }

  /** Of one statement, of the commit that ends those outside of a transaction, or of the connection. */
  handleError(error: unknown): void {
    const isOfAll = this.#at === this.#asked.length;
    for (const [at, { name, resolve, reject }] of this.#asked.entries()) {
      const answer = isOfAll ? undefined : this.#answers[at];
      if (answer !== undefined) {
        resolve(answer);
        continue;
      }
      // The server may not have come to it.
      if (name !== undefined && this.#prepares.has(name)) this.#prepared.delete(name);
      reject(error);
    }
  }

  #current(): Pick<Asked, "name"> {
    return this.#asked[this.#at] ?? {};
  }
}
