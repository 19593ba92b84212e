import { execFile } from "node:child_process";
import { readFile, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createTerraformExecutor } from "../adapters/executors/terraform/index.ts";
import { keyFileOf } from "./sealing-key.ts";
import { detectIsolation, type Isolation } from "../clients/process/isolation.ts";
import { consulFindings, consulNow } from "./doctor-consul.ts";
import { silent } from "./doctor-deps.ts";
import type { LoadedConfig } from "./config.ts";
import { clientTrust, trustProblem } from "./client-trust.ts";
import { certificateFindings } from "./doctor-certificate.ts";
import { busFindings } from "./doctor-bus.ts";
import type { Finding } from "./doctor-finding.ts";
import { variablesOfVault, vaultFindings } from "./doctor-vault.ts";
import { secureFetch } from "./secure-fetch.ts";
import { consulVariables } from "./consul-references.ts";
import { NamedServices } from "./service-address.ts";
import { demandsClients } from "./config-listen.ts";
import { isShared, storeFindings } from "./doctor-store.ts";

export type { Finding } from "./doctor-finding.ts";
export { ownAddress } from "./served-tls.ts";

export interface Examined {
  readonly loaded: LoadedConfig;
  /** Address of the server. */
  readonly server: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const leastFreeBytes = 1024 * 1024 * 1024;

/** Looks at the machine, the configuration and the server. Changes nothing; starts a few short processes. Never throws. */
export async function examine(given: Examined): Promise<readonly Finding[]> {
  const isolation = await detectIsolation();
  // Consul's token may be a value of Vault, and Vault be found by Consul: each looks here when it needs it.
  const env: Record<string, string | undefined> = { ...given.env };
  const { config } = given.loaded;
  const consul = await consulNow(config, env);
  const named = new NamedServices({ client: consul, log: silent });
  try {
    // What cannot be looked up shows where it is used.
    const ofConsul = () => consulVariables(config, consul).catch(() => ({}));
    Object.assign(env, await ofConsul());
    Object.assign(env, await variablesOfVault(config, { env, named }).catch(() => ({})));
    // Its token may be in Vault.
    Object.assign(env, await ofConsul());
    return await lookAtAll({ ...given, env }, { isolation, named });
  } finally {
    await named.stop();
  }
}

async function lookAtAll(
  examined: Examined,
  { isolation, named }: { readonly isolation: Isolation; readonly named: NamedServices },
): Promise<readonly Finding[]> {
  const { config } = examined.loaded;
  const { env } = examined;
  const looks: readonly Promise<readonly Finding[]>[] = [
    node(),
    isolated(isolation),
    terraform(examined, isolation),
    git(),
    data(examined),
    key(examined),
    vaultFindings(config, { env, named }),
    certificateFindings(config, { env, named }),
    storeFindings(config, { env, named }),
    busFindings(config, { env, named }),
    consulFindings(config, env),
    server(examined),
    variables(examined),
    users(examined),
  ];
  return (await Promise.all(looks)).flat();
}

function good(about: string, found: string): readonly Finding[] {
  return [{ about, level: "good", found, advice: null }];
}

function warning(about: string, found: string, advice: string): readonly Finding[] {
  return [{ about, level: "warning", found, advice }];
}

function bad(about: string, found: string, advice: string): readonly Finding[] {
  return [{ about, level: "bad", found, advice }];
}

async function node(): Promise<readonly Finding[]> {
  const major = Number(process.versions.node.split(".")[0]);
  const found = `${process.version} at ${process.execPath}`;
  return major >= 24 ? good("node", found) : bad("node", found, "Node 24 or newer is needed.");
}

async function isolated({ strength, reason, kind }: Isolation): Promise<readonly Finding[]> {
  if (strength === "weak")
    return warning(
      "isolation",
      `weak: ${reason}`,
      "After a crash of the server something that a child started may live on. Install bubblewrap or util-linux (unshare), and allow user namespaces.",
    );
  if (kind === "bwrap") return good("isolation", `strong: ${reason}`);
  return warning(
    "isolation",
    `strong: ${reason}`,
    "Children can see the data directory. With bubblewrap they would not.",
  );
}

async function terraform(
  { loaded, env }: Examined,
  isolation: Isolation,
): Promise<readonly Finding[]> {
  const wanted = loaded.config.executors.terraform.program;
  const executor = createTerraformExecutor({
    isolation,
    environment: env,
    grants: () => ({}),
    hide: [],
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    ...(wanted === undefined ? {} : { program: wanted }),
  });
  try {
    const { product, version, path } = await executor.program();
    return good("terraform", `${product} ${version} at ${path}`);
  } catch (error) {
    return warning(
      "terraform",
      error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error),
      "Groups of the executor terraform cannot be made. Install Terraform 1.5 or newer or OpenTofu, or set executors.terraform.program.",
    );
  }
}

function quiet(): void {
  // What it has to say is in the finding.
}

async function git(): Promise<readonly Finding[]> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  execFile("git", ["--version"], { timeout: 10_000 }, (error, stdout) =>
    resolve(error === null ? stdout.trim() : null),
  );
  const version = await promise;
  return version === null
    ? warning("git", "not found", "Templates can only be registered from folders. Install git.")
    : good("git", version);
}

/** Types of file systems on which locks or syncing are not to be trusted, by the number that statfs gives. */
const doubtful: ReadonlyMap<number, string> = new Map([
  [0x6969, "nfs"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x01021997, "9p"],
  [0x65735546, "fuse"],
  [0x01021994, "tmpfs"],
]);

async function data({ loaded }: Examined): Promise<readonly Finding[]> {
  const directory = loaded.config.data;
  const existing = await nearestExisting(directory);
  const { type, bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const place = existing === directory ? directory : `${directory} (will be made)`;
  const space = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  const about = "data directory";
  const kind = doubtful.get(type);
  const findings = [
    ...(kind === undefined
      ? good(about, place)
      : warning(
          about,
          `${place}, on ${kind}`,
          kind === "tmpfs"
            ? "It is lost when the machine stops. Put the data on a disk."
            : "Locks and syncing cannot be trusted there. Put the data on a local disk.",
        )),
    ...(free < leastFreeBytes
      ? warning("disk space", space, "Make room: without it new commands are refused.")
      : good("disk space", space)),
  ];
  return [...findings, ...(await modeOf(existing === directory ? directory : null))];
}

async function modeOf(directory: string | null): Promise<readonly Finding[]> {
  if (directory === null) return [];
  const { mode } = await stat(directory);
  if ((mode & 0o077) === 0) return [];
  return warning(
    "data directory",
    `others may look into it (mode ${(mode & 0o777).toString(8)})`,
    `Run: chmod 700 ${directory}`,
  );
}

async function nearestExisting(path: string): Promise<string> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  return exists || dirname(path) === path ? path : nearestExisting(dirname(path));
}

async function key({ loaded }: Examined): Promise<readonly Finding[]> {
  const { data: directory, security } = loaded.config;
  const path = keyFileOf(loaded.config, join(directory, "keys"));
  if (path === null) return good("key", `${security.key ?? ""}: a start needs Vault`);
  const inside = path.startsWith(`${directory}/`);
  const found = await stat(path).catch(() => null);
  if (found === null)
    return isShared(loaded.config)
      ? bad(
          "key",
          `${path} is missing`,
          "Servers that share a database need the same key file; security.key names it.",
        )
      : good("key", `${path} (will be made at the first start)`);
  if ((found.mode & 0o077) !== 0)
    return bad("key", `others may read ${path}`, `Run: chmod 600 ${path}`);
  return inside
    ? warning(
        "key",
        `${path}, beside the data that it opens`,
        "Whoever copies the data directory has both. Keep the key elsewhere: move it and set security.key. And keep a copy: without it the data cannot be opened.",
      )
    : good("key", path);
}

async function server({ server: address, env }: Examined): Promise<readonly Finding[]> {
  try {
    const call = secureFetch(clientTrust(env));
    const response = await call(new URL("/readyz", address), {
      signal: AbortSignal.timeout(3_000),
    });
    await response.body?.cancel();
    return response.ok
      ? good("server", `${address} is ready`)
      : warning("server", `${address} answers ${response.status}`, "Look at `glasshouse status`.");
  } catch (error) {
    const problem = URL.canParse(address) ? trustProblem(error, new URL(address)) : null;
    if (problem !== null)
      return warning("server", problem, "A command fails with the same words until that is so.");
    return warning(
      "server",
      `none answers at ${address}`,
      "Start one with `glasshouse server`, or name another with --server or GLASSHOUSE_SERVER.",
    );
  }
}

async function variables({ loaded }: Examined): Promise<readonly Finding[]> {
  return loaded.ignored.length === 0
    ? []
    : warning(
        "variables",
        `ignored: ${loaded.ignored.join(", ")}`,
        "No key has these names. `glasshouse config show` lists those that have one.",
      );
}

/** People of this machine: accounts that may log in. */
async function users({ loaded }: Examined): Promise<readonly Finding[]> {
  if (demandsClients(loaded.config))
    return good("users", "whoever gives commands must show a certificate");
  const accounts = await readFile("/etc/passwd", "utf8").catch(() => "");
  const people = accounts
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([, , id, , , , shell]) => {
      const number = Number(id);
      return number >= 1000 && number < 60_000 && !/(?:nologin|false)$/u.test(shell ?? "");
    })
    .flatMap(([name]) => name ?? []);
  if (people.length < 2) return good("users", "no other people on this machine");
  return warning(
    "users",
    `${people.length} people have an account here`,
    "Each of them can reach the server on loopback and give it commands: have them show certificates (tls.clientCa).",
  );
}
