import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { toolsDirectory } from "./tools-directory.ts";

/**
 * `npm run test:newer [-- words of file names]`: the tests of bus and store once more, against the servers of the next Debian:
 * RabbitMQ 4.0 and PostgreSQL 17. Its packages are unpacked once beside the other tools (600 MB); the tests run with
 * that as their root, in mounts of their own that end with them. Needs root and mmdebstrap. Exits with that of the tests.
 */
const suite = "trixie";
const packages = ["rabbitmq-server", "postgresql", "openssl", "procps"];

/** Without the sample in Go, which needs a compiler that fetches modules. */
const usual = [
  ...[
    "contract",
    "credentials",
    "faults",
    "messages",
    "metrics",
    "order",
    "rabbitmq",
    "replicas",
  ].map((name) => `system/bus/${name}`),
  "system/postgres/",
];

const root = join(import.meta.dirname, "..");

/** Arguments: the new root, the project, the directory for temporary files, the program with its own. */
const enter = `
new=$1 project=$2 temporary=$3
shift 3
for path in /proc /dev /sys "$temporary" "$project"; do
  mkdir -p "$new$path"
  mount --rbind "$path" "$new$path"
done
chroot "$new" dpkg-query --show rabbitmq-server postgresql
exec chroot "$new" sh -c 'cd "$1" && shift && exec "$@"' sh "$project" "$@"
`;

function main(words: readonly string[]): number {
  const place = join(toolsDirectory(), `debian-${suite}`);
  if (!existsSync(place) && !unpack(place)) {
    process.stderr.write(
      "The servers could not be unpacked: this needs root, mmdebstrap (apt-get install mmdebstrap) and a way to Debian's packages.\n",
    );
    return 1;
  }
  const program = ["node", "tools/run-tests.ts", "system", ...(words.length > 0 ? words : usual)];
  const args = ["--mount", "sh", "-ec", enter, "enter", place, root, tmpdir(), ...program];
  const path = [join(root, "node_modules", ".bin"), "/usr/sbin", "/usr/bin"].join(":");
  const { CI = "" } = process.env;
  const env = { PATH: path, HOME: "/root", LANG: "C.UTF-8", TMPDIR: tmpdir(), CI };
  return spawnSync("unshare", args, { env, stdio: "inherit" }).status ?? 1;
}

/** Whole or not at all. */
function unpack(place: string): boolean {
  const unfinished = `${place}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(dirname(place), { recursive: true });
  const args = ["--variant=minbase", `--include=${packages.join(",")}`, suite, unfinished];
  const done = spawnSync("mmdebstrap", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (done.status !== 0) return false;
  renameSync(unfinished, place);
  return true;
}

process.exitCode = main(process.argv.slice(2));
