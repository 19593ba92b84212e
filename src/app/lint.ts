import { join } from "node:path";
import { commandExecutor } from "../adapters/executors/command/index.ts";
import { consulKvExecutor } from "../adapters/executors/consul-kv/index.ts";
import { vaultCertificatesExecutor } from "../adapters/executors/vault-certificates/index.ts";
import { vaultSecretsExecutor } from "../adapters/executors/vault-secrets/index.ts";
import { createTerraformExecutor } from "../adapters/executors/terraform/index.ts";
import { pack } from "../adapters/sources/archive/index.ts";
import { readDirectory } from "../adapters/sources/directory/index.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { SourceFile } from "../ports/source.ts";
import { compileTemplate, type ExecutorShape } from "../templates/compile.ts";
import { fileLookup } from "../templates/paths.ts";

/** One remark about a template. */
export interface LintRemark {
  /** `file:line:column` */
  readonly place: string;
  readonly message: string;
}

export interface LintResult {
  /** Name and version; null when there are mistakes. */
  readonly template: { readonly name: string; readonly version: string } | null;
  readonly groups: number;
  readonly mistakes: readonly LintRemark[];
  readonly warnings: readonly LintRemark[];
}

/**
 * Checks the template in a local folder as registration would, without a server. `shown` is how the folder is named in
 * places. Errors: those of reading the folder, `not-found` without a template.yaml.
 */
export async function lintDirectory(directory: string, shown: string): Promise<LintResult> {
  const { files } = await readDirectory(directory);
  const template = files.find((file) => file.path === "template.yaml");
  if (template === undefined)
    throw new GlasshouseError("not-found", `There is no template.yaml in ${shown}.`);
  const compiled = compileTemplate({
    file: join(shown, "template.yaml"),
    text: textOf(template),
    hasFile: fileLookup(files.map((file) => file.path)),
    executors: executorShapes(),
  });
  if ("problems" in compiled)
    return { template: null, groups: 0, mistakes: compiled.problems.map(remark), warnings: [] };
  const { name, version, groups } = compiled.body;
  return {
    template: { name, version },
    groups: Object.keys(groups).length,
    mistakes: [],
    warnings: compiled.warnings.map(remark),
  };
}

/** The template's folder as a tar.gz, ready to be registered. Errors: as of reading the folder, `too-large`. */
export async function packDirectory(directory: string): Promise<Uint8Array> {
  const { files } = await readDirectory(directory);
  if (!files.some((file) => file.path === "template.yaml"))
    throw new GlasshouseError("not-found", `There is no template.yaml in ${directory}.`);
  return pack(files);
}

function textOf({ path, bytes }: SourceFile): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new GlasshouseError("invalid-template", `${path} is not UTF-8 text.`);
  }
}

function remark(problem: {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}): LintRemark {
  return {
    place: `${problem.file}:${problem.line}:${problem.column}`,
    message: problem.message,
  };
}

/** What the executors say of their settings. Nothing is ever started with these, so they have no host. */
function executorShapes(): readonly ExecutorShape[] {
  const host = {
    isolation: {
      kind: "none",
      strength: "weak",
      reason: "lint starts nothing",
      tools: { sh: "", env: "", sleep: "", wrapper: "" },
    },
    environment: {},
    grants: () => ({}),
    hide: [],
  } as const;
  const noVault = { session: null, mount: "secret", granted: () => null };
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  return [
    createTerraformExecutor({ ...host, log }),
    commandExecutor({ ...host, graceMs: 0 }),
    consulKvExecutor({ client: null, datacenter: null }),
    vaultSecretsExecutor(noVault),
    vaultCertificatesExecutor({ ...noVault, pki: "pki", clock: { now: () => 0 }, log }),
  ];
}

function quiet(): void {
  // Lint says what it has to say in its result.
}
