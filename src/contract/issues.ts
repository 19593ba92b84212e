import type { z } from "zod";
import type { ErrorDetail } from "../domain/errors.ts";

const mostDetails = 100;

/** What a schema found, each as a whole sentence with its JSON pointer. Messages of our schemas are ends of a sentence. */
export function issueDetails(issues: readonly z.core.$ZodIssue[]): readonly ErrorDetail[] {
  return issues.flatMap((issue) => detailsOf(issue)).slice(0, mostDetails);
}

function detailsOf(issue: z.core.$ZodIssue): readonly ErrorDetail[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      message: `There is no ${nameOf([...issue.path, key])} here: remove it, or check its spelling.`,
      pointer: pointerOf([...issue.path, key]),
    }));
  }
  const message = sentence(issue.path, issue.message);
  return [{ message, pointer: pointerOf(issue.path) }];
}

function sentence(path: readonly PropertyKey[], message: string): string {
  const begin = /^(?:must|is|does|has|cannot)\b/u.test(message) ? " " : ": ";
  return `${nameOf(path)}${begin}${message.replace(/\.$/u, "")}.`;
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "The body" : path.map((part) => String(part)).join(".");
}

/** The JSON pointer (RFC 6901) of a path. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}
