import type { Change } from "../../../domain/resource.ts";
import type { ExecutorResult } from "../../../ports/executor.ts";
import type { Mask } from "../../../lib/mask.ts";
import type { Initialised } from "./init.ts";
import type { Job } from "./job.ts";
import { secretTexts } from "./mask.ts";
import type { Memory } from "./memory.ts";
import { collectOutputs, observedResources } from "./observed.ts";
import type { TerraformState } from "./state-file.ts";

/** What the engine is told of a group that is as it should be. Everything comes from the state: no further process. */
export async function resultOf(
  job: Job,
  ended: {
    readonly state: TerraformState;
    readonly initialised: Initialised;
    readonly changes: readonly Change[];
  },
): Promise<ExecutorResult> {
  const { ctx, program, filesDigest, redact } = job;
  const { state, initialised, changes } = ended;
  addSecretsOf(state, job.mask);
  const outputs = await collectOutputs({
    outputs: state.outputs,
    declared: ctx.declaredOutputs,
    redact,
    seal: (name, plain) => ctx.seal(name, plain),
  });
  const memory = {
    lockFile: initialised.lockFile,
    modules: initialised.modules,
    filesDigest,
    engine: { product: program.product, version: program.version },
    serial: state.serial,
    lineage: state.lineage,
  } satisfies Memory;
  return {
    outputs,
    observed: observedResources(state, redact),
    changes: changes.filter(({ action }) => action !== "none"),
    memory,
  };
}

/** Each costs time for every text that is shown; sensitive outputs come first. */
const mostSecrets = 200;

/** Values that only the state knows to be secret must not show up in another attribute of it. */
export function addSecretsOf(state: TerraformState, mask: Mask): void {
  const texts = new Set(secretTexts(state));
  for (const text of [...texts].slice(0, mostSecrets)) {
    if (!/^(?:true|false|null|none)$/u.test(text)) mask.add(text);
  }
}
