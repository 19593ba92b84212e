import { GlasshouseError } from "../../../domain/errors.ts";
import type { Page, PageRequest } from "../../../ports/page.ts";

/** The place that a page starts after, as its cursor says; null for the first page. Errors: `invalid-request`. */
export function readCursor(page: PageRequest): number | null {
  if (page.cursor === null) return null;
  const text = Buffer.from(page.cursor, "base64url").toString("latin1");
  const place = /^n(-?\d{1,15})$/u.exec(text)?.[1];
  if (place === undefined) {
    throw new GlasshouseError(
      "invalid-request",
      "The cursor is not one that a list of this service gave; ask for the first page without a cursor.",
    );
  }
  return Number(place);
}

/** As `readCursor`, for lists in order of an id or name. */
export function readTextCursor(page: PageRequest): string | null {
  if (page.cursor === null) return null;
  const text = Buffer.from(page.cursor, "base64url").toString("utf8");
  if (!text.startsWith("t")) {
    throw new GlasshouseError(
      "invalid-request",
      "The cursor is not one that a list of this service gave; ask for the first page without a cursor.",
    );
  }
  return text.slice(1);
}

/** Turns up to `limit + 1` rows into a page; the extra row tells that there is more. */
export function pageOf<R, T>(
  rows: readonly R[],
  limit: number,
  how: { readonly item: (row: R) => T; readonly place: (row: R) => number | string },
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map((row) => how.item(row)),
    next: rows.length > limit && last !== undefined ? cursorAt(how.place(last)) : null,
  };
}

/** The cursor of what comes after this place. */
export function cursorAt(place: number | string): string {
  return Buffer.from(typeof place === "number" ? `n${place}` : `t${place}`).toString("base64url");
}
