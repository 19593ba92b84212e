import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/**
 * `node tools/lock-file.ts`, after `npm install`: adds to package-lock.json the packages for other systems that npm left
 * out. npm does that when its registry does not have them, and `npm ci` then refuses the lock file everywhere. What is
 * added has no integrity, as nobody could look; it is installed on those other systems only.
 */
const path = join(import.meta.dirname, "../package-lock.json");

const packageSchema = z.looseObject({
  dev: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const lockSchema = z.looseObject({ packages: z.record(z.string(), packageSchema) });

const anySchema = z.record(z.string(), z.unknown());

export type LockFile = z.infer<typeof lockSchema>;

export function readLockFile(): LockFile {
  return lockSchema.parse(JSON.parse(readFileSync(path, "utf8")));
}

export interface MissingPackage {
  readonly name: string;
  readonly version: string;
  readonly dev: boolean;
}

/** Optional packages with an exact version, named by another package, that have no entry of their own. */
export function missingPackages(lock: LockFile): readonly MissingPackage[] {
  return Object.values(lock.packages).flatMap(({ dev = false, optionalDependencies = {} }) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => lock.packages[`node_modules/${name}`] === undefined)
      .filter(([, version]) => /^\d+\.\d+\.\d+$/u.test(version))
      .map(([name, version]) => ({ name, version, dev })),
  );
}

/** For which systems a package is, read from a name like `@scope/binding-linux-arm64-musl`; null when it does not say. */
export function systemOf(
  name: string,
): { readonly os: string; readonly cpu: string; readonly libc: string | null } | null {
  const found = /(android|darwin|freebsd|linux|openharmony|win32)-(\w+)(?:-(\w+))?$/u.exec(name);
  const [, os, cpu, abi = ""] = found ?? [];
  if (os === undefined || cpu === undefined) return null;
  const libc = abi.startsWith("musl") ? "musl" : abi.startsWith("gnu") ? "glibc" : null;
  return { os, cpu, libc };
}

/** The lock file's own members in their own order, with what is missing put where npm would sort it. */
function complete(text: string): unknown {
  const lock = anySchema.parse(JSON.parse(text));
  const added = missingPackages(lockSchema.parse(lock)).map(({ name, version, dev }) => {
    const system = systemOf(name);
    if (system === null) throw new Error(`${name} does not say for which system it is`);
    const { os, cpu, libc } = system;
    const entry = {
      version,
      cpu: [cpu],
      ...(dev ? { dev } : {}),
      ...(libc === null ? {} : { libc: [libc] }),
      optional: true,
      os: [os],
    };
    return [`node_modules/${name}`, entry] as const;
  });
  const known = anySchema.parse(lock["packages"]);
  const packages = Object.entries({ ...known, ...Object.fromEntries(added) });
  const sorted = packages.toSorted(([a], [b]) => a.localeCompare(b, "en"));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

if (import.meta.main) {
  const text = readFileSync(path, "utf8");
  writeFileSync(path, `${JSON.stringify(complete(text), null, 2)}\n`);
}
