import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface PortMethod {
  readonly name: string;
  /** Name of the type of its first parameter; empty when it has none. */
  readonly takes: string;
}

/**
 * The methods of an interface as they stand in the source of the port, so that a test that must go through all of them
 * cannot forget a new one.
 */
export function methodsOf(port: string, name: string): readonly PortMethod[] {
  const path = join(import.meta.dirname, "..", "..", "src", "ports", port);
  const source = readFileSync(path, "utf8");
  const body = new RegExp(`export interface ${name} \\{\n(.*?)\n\\}`, "su").exec(source)?.[1];
  if (body === undefined) throw new Error(`${port} has no interface ${name}`);
  const found = [...body.matchAll(/^ {2}(\w+)\(\s*(?:\w+: (\w+))?/gmu)];
  if (found.length === 0) throw new Error(`${name} of ${port} has no methods`);
  return found.map(([, method = "", takes = ""]) => ({ name: method, takes }));
}
