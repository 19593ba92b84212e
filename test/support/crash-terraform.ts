import { execFileSync } from "node:child_process";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import { emptyState, parseState } from "../../src/adapters/executors/terraform/state-file.ts";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { createLog } from "../../src/adapters/telemetry/lines/index.ts";
import type { SourceFile } from "../../src/ports/source.ts";
import { openLasting } from "./which-store.ts";

/** False where Terraform or OpenTofu is there. In CI it must be. */
export const terraformSkip =
  hasTerraform() || process.env["CI"] === "true" ? false : "no terraform";

function hasTerraform(): boolean {
  return ["terraform", "tofu"].some((program) => {
    try {
      execFileSync(program, ["version"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

/** One group of so many quick resources, packed for upload. */
export async function terraformTemplate(resources: number): Promise<Uint8Array<ArrayBuffer>> {
  const yaml =
    "apiVersion: glasshouse/v1\nkind: Template\nname: ledger\nversion: 1.0.0\n" +
    "groups:\n  web:\n    executor: terraform\n    with: { source: ./web }\n";
  const main = `resource "terraform_data" "x" {\n  count = ${resources}\n  input = count.index\n}\n`;
  return new Uint8Array(await pack([file("template.yaml", yaml), file("web/main.tf", main)]));
}

/** What is wrong with the last state of group `web`: an address that is missing, a lineage that is not its own. No server may run. */
export async function stateComplaints(data: string, resources: number): Promise<readonly string[]> {
  const log = createLog({ level: "error", format: "json" });
  const { store, blobs } = await openLasting(data, { clock: new SystemClock(), log });
  try {
    const found = await store.read(async (tx) => {
      const environment = await tx.environments.find("judged");
      const environmentId = environment?.id ?? "";
      const at = { environmentId, template: "ledger", group: "web" };
      return { environmentId, row: await tx.states.latest(at) };
    });
    if (found.row === null) return ["there is no state"];
    const state = parseState(await blobs.get(found.row.blob));
    if (state === null) return ["the last state cannot be read"];
    const addresses = new Set(state.instances.map(({ address }) => address));
    const lineage = emptyState(`glasshouse/${found.environmentId}/web`, "").lineage;
    return [
      ...(addresses.size === resources ? [] : [`the state has ${addresses.size} addresses`]),
      ...(state.lineage === lineage ? [] : [`the lineage is ${state.lineage}, not ${lineage}`]),
    ];
  } finally {
    await store.close();
  }
}

function file(path: string, text: string): SourceFile {
  return { path, mode: 0o644, bytes: new TextEncoder().encode(text) };
}
