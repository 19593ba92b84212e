/** The words of DDL in which engines differ. */
export interface Ddl {
  /** A whole number that the engine gives, rising with every row and never used twice. Primary key. */
  readonly identity: string;
  /**
   * The place of an event in the whole journal. Where one process writes, a number that the engine gives, rising with every
   * row (the newest is never removed, so the highest in use says which is next). Where several do, ids given before the
   * commit would pass over late commits: it is empty until a numberer fills it, and the row has a number beside it.
   */
  readonly rising: string;
  readonly bytes: string;
  readonly boolean: string;
  /** Ends a table whose primary key is its only order. */
  readonly keyOrdered: string;
  /** How words are indexed. */
  readonly fullText: "fts5" | "tsvector";
  /** Several processes share the database. */
  readonly shared: boolean;
}
