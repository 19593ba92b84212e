import type { LookDeps } from "../../src/app/doctor-finding.ts";
import { NamedServices } from "../../src/app/service-address.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** What a doctor's look stands on where no address names a service in Consul. */
export function lookDeps(env: LookDeps["env"]): LookDeps {
  return { env, named: new NamedServices({ client: null, log: quiet }) };
}
