/** The words of DDL in which engines differ. */
export interface Ddl {
  /** A whole number that the engine gives, rising with every row and never used twice. Primary key. */
  readonly identity: string;
  /** The same where the newest row is never removed, so that the highest number in use says which is next. */
  readonly rising: string;
  readonly bytes: string;
  readonly boolean: string;
  /** Ends a table whose primary key is its only order. */
  readonly keyOrdered: string;
}
