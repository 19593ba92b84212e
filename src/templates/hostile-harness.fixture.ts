import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SettingsShape } from "../domain/settings.ts";
import { compileTemplate } from "./compile.ts";
import type { ExecutorShape, FileKind } from "./compile.ts";
import type { Problem } from "./problem.ts";

const argv = { type: "list", minItems: 1, items: { type: "scalar", argument: true } } as const;
const command: SettingsShape = {
  type: "object",
  fields: {
    create: { ...argv, required: true },
    destroy: argv,
    inputs: { type: "map", values: { type: "any", secret: true } },
    env: { type: "map", keyPattern: "^[A-Z]+$", values: { type: "scalar", argument: true } },
    files: { type: "list", items: { type: "string", path: true, literal: true } },
    slots: { type: "integer" },
    mode: { type: "string", enum: ["fast", "safe"] },
    note: { type: "string" },
    app: { type: "object", fields: { url: { type: "string", notAvailable: true } } },
  },
};
const executors: readonly ExecutorShape[] = [
  { name: "command", settings: command },
  { name: "certifying", settings: { type: "any" }, issuesCertificates: true },
];
const kinds: Readonly<Record<string, FileKind>> = {
  up: "file",
  folder: "directory",
  out: "outside",
};
const hasFile = (path: string): FileKind => kinds[path] ?? "missing";

export const head = `apiVersion: glasshouse/v1
kind: Template
name: shop
version: 1.0.0
`;
export const group = `groups:
  web:
    executor: command
    with: { create: [./up] }
    outputs: [address]
`;

export function problemsOf(text: string): readonly Problem[] {
  const result = compileTemplate({ file: "template.yaml", text, hasFile, executors });
  return "problems" in result ? result.problems : [];
}

/** The place of the problem is marked in the text with `¦`, which is taken out. */
export function expectProblem(marked: string, wrong: RegExp, right: RegExp): void {
  const at = marked.indexOf("¦");
  assert.ok(at >= 0, "no mark");
  const text = marked.replace("¦", "");
  const before = text.slice(0, at).split("\n");
  const place = `template.yaml:${before.length}:${(before.at(-1) ?? "").length + 1}`;
  const problems = problemsOf(text);
  const found = problems.find((one) => `${one.file}:${one.line}:${one.column}` === place);
  const seen = problems.map((one) => `${one.line}:${one.column} ${one.message}`).join("\n");
  assert.ok(found !== undefined, `expected a problem at ${place}, saw:\n${seen}`);
  assert.match(found.message, wrong);
  assert.match(found.message, right);
}

/** Title, marked text, what is wrong, what would be right. */
export type Case = readonly [string, string, RegExp, RegExp];

export function cases(name: string, list: readonly Case[]): void {
  describe(name, () => {
    for (const [title, text, wrong, right] of list) {
      test(title, () => expectProblem(text, wrong, right));
    }
  });
}

export const web = (settings: string): string =>
  `${head}groups:\n  web:\n    executor: command\n    with: ${settings}\n`;
