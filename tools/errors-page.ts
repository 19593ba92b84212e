import { errorTable } from "../src/domain/errors.ts";

/** The text of docs/errors.md, made from the table of errors; `npm run generate` writes it and a test compares it. */
export function errorsPage(): string {
  const codes = Object.entries(errorTable);
  return [
    "# Errors",
    "",
    "Every problem reply of the API, every refusal and every exit code of the command line comes from this table",
    "(`src/domain/errors.ts`; this page is made from it by `npm run generate`). A *transient* error may pass when the same thing",
    "is tried again, and steps that fail with it are retried by their policy; a *terminal* one will not.",
    "",
    "| code | HTTP status | exit code | kind |",
    "| --- | --- | --- | --- |",
    ...codes.map(
      ([code, { status, exitCode, kind }]) =>
        `| [\`${code}\`](#${code}) | ${status} | ${exitCode} | ${kind} |`,
    ),
    ...codes.flatMap(([code, { title, advice }]) => ["", `## ${code}`, "", `${title}.`, advice]),
    "",
  ].join("\n");
}
