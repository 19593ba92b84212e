import { StoreFault } from "../../../domain/errors.ts";

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
const busy = 5;
const noMemory = 7;
const readOnly = 8;
const ioError = 10;
const corrupt = 11;
const full = 13;
/** Also of files beside the database, as when the process has too many open. */
const cannotOpen = 14;
const notADatabase = 26;

/** Gives a fault of the database the product's words; other errors pass through. */
export function translate(error: unknown): unknown {
  const code = resultCode(error);
  if (code === null) return error;
  if (code === full || code === ioError) {
    return new StoreFault(
      "storage-full",
      "The database could not be written: the disk is full or fails. Make room; work goes on by itself.",
      { cause: error },
    );
  }
  if (code === corrupt || code === notADatabase) {
    return new StoreFault(
      "unavailable",
      "The database file is damaged. Stop the server and restore a backup with `glasshouse restore`.",
      { cause: error },
    );
  }
  if (code === busy || code === readOnly) {
    return new StoreFault("unavailable", "The database cannot be written just now.", {
      cause: error,
    });
  }
  if (code === noMemory || code === cannotOpen) {
    return new StoreFault(
      "unavailable",
      "The database cannot be used just now: memory is short, or a file beside it cannot be opened (too many are open, or its directory is gone).",
      { cause: error },
    );
  }
  return error;
}

/** The primary result code of an error of SQLite; null for any other error. */
export function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error)) return null;
  // The low byte is the primary code, the rest says more.
  return typeof error.errcode === "number" ? error.errcode % 256 : null;
}

export function isBusy(error: unknown): boolean {
  return resultCode(error) === busy;
}
