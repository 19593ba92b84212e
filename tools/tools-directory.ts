import { homedir } from "node:os";
import { join } from "node:path";

/** Where `npm run tools` puts what tests and benchmarks need: `$GLASSHOUSE_TOOLS`, else a folder in the user's cache. */
export function toolsDirectory(): string {
  const { GLASSHOUSE_TOOLS: asked, XDG_CACHE_HOME: cache } = process.env;
  return asked ?? join(cache ?? join(homedir(), ".cache"), "glasshouse-tools");
}

/** A file for `TF_CLI_CONFIG_FILE`: Terraform and OpenTofu then take providers from the mirror beside it only. */
export function terraformConfigurationFile(): string {
  return join(toolsDirectory(), "terraformrc");
}

/** The OpenTofu that `npm run tools` builds when the machine has neither terraform nor tofu, or when asked. */
export function builtOpenTofu(): string {
  return join(toolsDirectory(), "bin", "tofu");
}

/** The Consul that `npm run tools -- consul` builds for the tests. */
export function builtConsul(): string {
  return join(toolsDirectory(), "bin", "consul");
}

/** The Vault that `npm run tools -- vault` builds, for tests only. */
export function builtVault(): string {
  return join(toolsDirectory(), "bin", "vault");
}

/** The OpenBao that `npm run tools -- openbao` fetches, for tests only. */
export function fetchedOpenBao(): string {
  return join(toolsDirectory(), "bin", "bao");
}
