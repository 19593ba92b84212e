import { randomUUID } from "node:crypto";
import pg from "pg";
import { arrayBytes, type ElementType } from "./array-bytes.ts";
import { ConnectionLost, faultKind, isStalePlan } from "./errors.ts";
import type { Target } from "./target.ts";
import { prepareAnew, prepared } from "./statement-text.ts";
import { Volley, type Answer, type Asked, type Prepared, type Wire } from "./volley.ts";

export type { Answer } from "./volley.ts";

/** How long what is owed may wait for company. */
const owedMs = 2;

/** What a parameter may be. */
export type Cell = string | number | boolean | null | Uint8Array;

/** A parameter: a value, or those of many rows, for one that the statement casts to an array. No array holds bytes. */
export type Parameter = Cell | readonly Cell[];

/**
 * One connection. Statements are sent in the turn of the event loop in which they come, without waiting for the answers to
 * those before (the server works them off in order), each prepared once under a name, and anew after a change of the schema.
 */
export class Connection {
  /** Never used again by another connection: marks of commits go by it. */
  readonly id = randomUUID();
  readonly #client: pg.Client;
  #isLost = false;
  #unanswered = 0;
  #heardAtMs = performance.now();
  #commits = 0;
  #isGathering = false;
  readonly #prepared: Prepared = new Map();
  /** What goes out with the next volley. */
  #gathered: Asked[] = [];
  #owed: { readonly sql: string; readonly timer: NodeJS.Timeout } | null = null;
  readonly #whenLost = new Set<() => void>();

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on("error", () => this.#lose());
    client.on("end", () => this.#lose());
  }

  /** Errors: `ConnectionLost`, and the server's own refusals (password, database, too many connections). */
  static async open(target: Target): Promise<Connection> {
    const client = new pg.Client({ ...target.client, pipeline: true, types });
    // Before it is a `Connection` the error of its socket must have a listener too.
    client.on("error", () => {});
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => {});
      throw error instanceof pg.DatabaseError ? error : new ConnectionLost(error);
    }
    return new Connection(client);
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** How long something has been asked without any answer; 0 when nothing is open. */
  get silentMs(): number {
    return this.#unanswered === 0 ? 0 : performance.now() - this.#heardAtMs;
  }

  /** The number of the next commit, from 1. */
  nextCommit(): number {
    this.#commits += 1;
    return this.#commits;
  }

  /**
   * Runs a statement by itself. Rows are trusted to be what the statement's author stated. Errors: `ConnectionLost`,
   * `pg.DatabaseError`.
   */
  async query<R>(sql: string, values: readonly Parameter[] = []): Promise<Answer<R>> {
    this.#sendGathered();
    const answer = this.within<R>(sql, values);
    this.#sendGathered();
    return answer;
  }

  /**
   * As `query`, for statements of a transaction and those that begin and end it: those of one turn of the event loop are
   * answered together, and when one of them fails so do all after it.
   */
  within<R>(sql: string, values?: readonly Parameter[]): Promise<Answer<R>>;
  within(sql: string, values: readonly Parameter[] = []): Promise<Answer<unknown>> {
    const { text, name, arrays } = prepared(sql);
    return this.#answered((resolve, reject) => {
      const wire = values.map((value, at) => bound(value, arrays.get(at)));
      const failed = (error: unknown): void => {
        if (name !== undefined && isStalePlan(error)) prepareAnew(name);
        reject(error);
      };
      this.#gathered.push({ text, name, values: wire, resolve, reject: failed });
    });
  }

  /** One promise a statement: there are some ten of them in every step of a run. */
  #answered<T>(
    send: (resolve: (answer: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    this.#sendOwed();
    if (this.#unanswered === 0) this.#heardAtMs = performance.now();
    this.#unanswered += 1;
    this.#gather();
    return new Promise((resolve, reject) => {
      const heard = (): void => {
        this.#unanswered -= 1;
        this.#heardAtMs = performance.now();
      };
      const failed = (error: unknown): void => {
        heard();
        if (faultKind(error) === "lost") this.#isLost = true;
        reject(error instanceof pg.DatabaseError ? error : new ConnectionLost(error));
      };
      try {
        send((answer) => {
          heard();
          resolve(answer);
        }, failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  /** Statements of one turn go out together: a write of its own for each costs more than all else that this process does. */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    const { stream } = this.#client.connection;
    stream.cork();
    process.nextTick(() => {
      this.#isGathering = false;
      this.#sendGathered();
      stream.uncork();
    });
  }

  #sendGathered(): void {
    const asked = this.#gathered;
    if (asked.length === 0) return;
    this.#gathered = [];
    this.#client.query(new Volley(asked, this.#prepared, types));
  }

  /**
   * Sends a statement whose answer nobody awaits together with the next one, or by itself soon: the end of a read costs no
   * write of its own on a connection that is in use.
   */
  owe(sql: string): void {
    this.#sendOwed();
    this.#owed = { sql, timer: setTimeout(() => this.#sendOwed(), owedMs) };
    this.#owed.timer.unref();
  }

  #sendOwed(): void {
    const owed = this.#owed;
    if (owed === null) return;
    this.#owed = null;
    clearTimeout(owed.timer);
    this.within(owed.sql).catch(() => {});
  }

  /** Runs a text of several statements without parameters, in order with what is sent before and after it. */
  async script(text: string): Promise<void> {
    await this.#answered<unknown>((resolve, reject) => {
      this.#sendGathered();
      this.#client.query(text).then(resolve, reject);
    });
  }

  onNotification(fn: (payload: string) => void): void {
    this.#client.on("notification", ({ payload }) => fn(payload ?? ""));
  }

  /** Calls `fn` once when the connection is gone, however that came. */
  onLost(fn: () => void): void {
    if (this.#isLost) fn();
    else this.#whenLost.add(fn);
  }

  /** Says goodbye after what was asked has been answered. Never throws. */
  async end(): Promise<void> {
    this.#sendOwed();
    await this.#client.end().catch(() => {});
  }

  /** Cuts the connection; whoever waits for an answer gets `ConnectionLost`. */
  destroy(): void {
    this.#isLost = true;
    this.#client.connection.stream.destroy();
  }

  #lose(): void {
    this.#isLost = true;
    for (const fn of this.#whenLost) fn();
    this.#whenLost.clear();
  }
}

const { TEXT, INT8, BYTEA } = pg.types.builtins;

/** As the rest of the program has them: whole numbers as numbers, bytes as plain arrays of bytes. */
const types: pg.CustomTypesConfig = {
  getTypeParser(oid: Parameters<typeof pg.types.getTypeParser>[0], format?: "text" | "binary") {
    if (format === "binary") return pg.types.getTypeParser(oid, "binary");
    if (oid === TEXT) return unescaped;
    if (oid === INT8) return Number;
    if (oid === BYTEA) return bytesOf;
    return pg.types.getTypeParser(oid, "text");
  },
};

/**
 * PostgreSQL's text cannot hold the character NUL, and what people and programs write may have one. It goes behind a code
 * point that Unicode keeps for a program's own use and never for text.
 */
const escape = "\uFDD0";

/** `elements` is what the statement says of a parameter that is an array. */
function bound(value: Parameter, elements: ElementType = "text"): Wire {
  if (isMany(value))
    return arrayBytes(
      elements,
      value.map((cell) => element(cell)),
    );
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length);
  return typeof value === "string" ? escaped(value) : String(value);
}

function isMany(value: Parameter): value is readonly Cell[] {
  return Array.isArray(value);
}

function element(value: Cell): Exclude<Cell, Uint8Array> {
  if (value instanceof Uint8Array) throw new TypeError("An array of the database holds no bytes");
  return typeof value === "string" ? escaped(value) : value;
}

function escaped(text: string): string {
  if (!(text.includes("\0") || text.includes(escape))) return text;
  return text.replaceAll(escape, `${escape}1`).replaceAll("\0", `${escape}0`);
}

function unescaped(value: string): string {
  if (!value.includes(escape)) return value;
  return value.replaceAll(`${escape}0`, "\0").replaceAll(`${escape}1`, escape);
}

function bytesOf(text: string): Uint8Array {
  // The server writes them as `\x` and hexadecimal digits.
  return new Uint8Array(Buffer.from(text.slice(2), "hex"));
}
