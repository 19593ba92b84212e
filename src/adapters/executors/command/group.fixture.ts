import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Value } from "../../../domain/value.ts";
import { TestGroup, type GroupCase } from "../../../testing/executor-group.ts";
import { commandExecutor, type ProgramHost } from "./index.ts";

/** A folder of this test file that is removed at its end. */
export const root = mkdtempSync(join(tmpdir(), "glasshouse-command-"));
after(() => rmSync(root, { recursive: true, force: true }));

export const host: ProgramHost = {
  isolation: await detectIsolation(),
  environment: { PATH: process.env["PATH"], HOME: "/home/x", AWS_SECRET_ACCESS_KEY: "no" },
  grants: () => ({
    GRANTED: { value: "yes", isSecret: false },
    API_TOKEN: { value: "granted-token", isSecret: true },
  }),
  hide: [],
  graceMs: 10_000,
};

export const executor = commandExecutor(host);

export function groupOf(settings: Value, scripts: Readonly<Record<string, string>>): TestGroup {
  return new TestGroup(join(mkdtempSync(join(root, "g-")), "work"), caseOf(settings, scripts));
}

/** Settings, and scripts by their path within the template. */
export function caseOf(settings: Value, scripts: Readonly<Record<string, string>>): GroupCase {
  const files = Object.entries(scripts).map(
    ([path, text]) => [path, { text: `#!/bin/sh\n${text}\n`, mode: 0o755 }] as const,
  );
  return { settings, files: Object.fromEntries(files), outputs: [] };
}

/** Applies a group with one script. */
export function applyScript(script: string): Promise<unknown> {
  return executor.apply(groupOf({ create: ["./run"] }, { run: script }).context());
}

export async function failureOf(action: Promise<unknown>): Promise<GlasshouseError> {
  const error = await action.then(
    () => assert.fail("it succeeded"),
    (fault: unknown) => fault,
  );
  assert.ok(error instanceof GlasshouseError, String(error));
  return error;
}
