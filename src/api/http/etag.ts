import { createHash } from "node:crypto";

/** The ETag of an environment: two answers with the same one say the same, and `If-Match` takes it. */
export function environmentTag(environment: {
  readonly id: string;
  readonly sequence: number;
}): string {
  return `"${environment.id}.${environment.sequence}"`;
}

/** The ETag of any other body. */
export function contentTag(body: string): string {
  return `"${createHash("sha1").update(body).digest("base64url")}"`;
}

/** Whether a list of ETags, as in `If-None-Match`, names this one. Weak and strong forms count as equal. */
export function namesTag(list: string, tag: string): boolean {
  return list
    .split(",")
    .map((one) => one.trim().replace(/^W\//u, ""))
    .some((one) => one === "*" || one === tag);
}
