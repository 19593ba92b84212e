import { existsSync } from "node:fs";
import { detectIsolation } from "../../../src/clients/process/isolation.ts";
import type { TerraformExecutor } from "../../../src/adapters/executors/terraform/index.ts";
import { createTerraformExecutor } from "../../../src/adapters/executors/terraform/index.ts";
import { builtOpenTofu, terraformConfigurationFile } from "../../../tools/tools-directory.ts";

/** The engines of this machine that the tests go through, with providers from the mirror that `npm run tools` fills. */
export interface Engine {
  readonly name: string;
  readonly executor: TerraformExecutor;
  /** Absolute path of the program; what is missing is in `skip`. */
  readonly path: string;
  /** Why tests of it cannot run here, or false. Under CI a missing one fails its tests. */
  readonly skip: string | false;
}

const isolation = await detectIsolation();

export const engines: readonly Engine[] = [
  await engine("terraform", "terraform"),
  await engine("tofu", builtOpenTofu()),
];

async function engine(name: string, program: string): Promise<Engine> {
  const executor = createTerraformExecutor({
    isolation,
    environment: process.env,
    grants: () => ({}),
    hide: [],
    program,
    cliConfigFile: terraformConfigurationFile(),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  const found = await executor.program().catch(() => null);
  const providers = existsSync(terraformConfigurationFile());
  const lacks = [
    ...(found === null ? [name] : []),
    ...(providers ? [] : ["its providers (npm run tools)"]),
  ];
  const skip = lacks.length > 0 && `missing: ${lacks.join(" and ")}`;
  return {
    name,
    executor,
    path: found?.path ?? program,
    skip: process.env["CI"] === "true" ? false : skip,
  };
}
