import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { toolsDirectory } from "./tools-directory.ts";

/**
 * The folder with the packages that tools/`name`/requirements.txt pins, which Python can take as its path. Another pin is another
 * folder, so what is there is what is asked for.
 */
export function pythonPackages(name: string): string {
  const pin = createHash("sha256")
    .update(readFileSync(requirementsOf(name)))
    .digest("hex");
  return join(toolsDirectory(), "python", `${name}-${pin.slice(0, 12)}`);
}

/**
 * Has pip fetch them, each of the version and hash that is pinned and nothing beside; the folder is there whole or not at all. False
 * when there is no python3 with pip, no way to its packages, or none for this machine. Safe to repeat.
 */
export function installPythonPackages(name: string): boolean {
  const folder = pythonPackages(name);
  if (existsSync(folder)) return true;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const pinned = ["--no-deps", "--only-binary", ":all:", "--require-hashes"];
  const place = ["--target", unfinished, "--requirement", requirementsOf(name)];
  const done = spawnSync("python3", [...pip, ...pinned, ...place], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (done.status !== 0) return false;
  renameSync(unfinished, folder);
  return true;
}

function requirementsOf(name: string): string {
  return join(import.meta.dirname, name, "requirements.txt");
}
