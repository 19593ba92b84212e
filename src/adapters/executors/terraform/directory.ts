import { chmodSync, mkdirSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { Mutex } from "./mutex.ts";

/*
 * What is a single system call is made where it stands: a step waits for each of them, Terraform may be at work on all of the
 * processors, and a way to a thread and back takes both of them many times as long.
 */

/**
 * What lies in a group's work directory. It is a cache: everything that must last is sealed in the store, and then the
 * state, its backup, plans and raw output are removed from here.
 */
export interface Layout {
  readonly root: string;
  /** Files of the template. */
  readonly tree: string;
  /** The root module: where Terraform runs. */
  readonly module: string;
  readonly state: string;
  /** Which attempt the state and the output beside it belong to (origin.ts). */
  readonly origin: string;
  readonly lock: string;
  /** Raw output of the last apply or destroy, until its state is sealed. */
  readonly output: string;
  readonly plan: string;
  readonly lookState: string;
  readonly lookOutput: string;
  readonly initMark: string;
  readonly initOutput: string;
}

export function layoutOf(workDirectory: string, source: string): Layout {
  const tree = join(workDirectory, "tree");
  const module = join(tree, source);
  return {
    root: workDirectory,
    tree,
    module,
    state: join(module, "terraform.tfstate"),
    origin: join(workDirectory, "origin.json"),
    lock: join(module, ".terraform.lock.hcl"),
    output: join(workDirectory, "output.jsonl"),
    plan: join(workDirectory, "plan.bin"),
    lookState: join(workDirectory, "look.tfstate"),
    lookOutput: join(workDirectory, "look.jsonl"),
    initMark: join(workDirectory, "init.json"),
    initOutput: join(workDirectory, "init.log"),
  };
}

/** Files in which Terraform itself may have left a state, the likeliest truth last. */
export function leftovers(layout: Layout): readonly string[] {
  return [join(layout.module, "errored.tfstate"), layout.state];
}

/** Removes what must not outlive a sealed state. Safe to repeat. */
export function cleanAfterApply(layout: Layout): void {
  const files = [
    ...leftovers(layout),
    `${layout.state}.backup`,
    join(layout.module, ".terraform.tfstate.lock.info"),
    layout.output,
  ];
  removeAll(files);
  // Last, so that what a crash leaves of these files still says whose they are.
  removeAll([layout.origin]);
  cleanAfterLook(layout);
}

/** Removes what a plan or a look left. Never touches an apply's files. */
export function cleanAfterLook(layout: Layout): void {
  const { lookState, lookOutput, plan } = layout;
  removeAll([lookState, `${lookState}.backup`, lookOutput, plan]);
}

export function removeAll(files: readonly string[]): void {
  for (const file of files) rmSync(file, { force: true });
}

/** Null when the file is not there. */
export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** A file for its owner alone, whole or not there at all. */
export async function writePrivate(path: string, bytes: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  await writeFile(temporary, bytes, { mode: 0o600, flag: "wx" });
  renameSync(temporary, path);
}

export function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

const leastFreeBytes = 64 * 1024 * 1024;

/**
 * Terraform loses state when the disk fills up under it, so it is not started near that.
 * Errors: `storage-full` when less than max(64 MiB, 4 × state) is free.
 */
export function checkFreeSpace(directory: string, stateBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const needed = Math.max(leastFreeBytes, 4 * stateBytes);
  if (bavail * bsize >= needed) return;
  throw new GlasshouseError(
    "storage-full",
    `The disk of ${directory} has ${mebibytes(bavail * bsize)} free and ${mebibytes(needed)} are needed before Terraform may run there.`,
  );
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 / 1024)} MiB`;
}

export function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

const mutexes = new Map<string, Mutex>();

/** One piece of work at a time in a work directory: a plan needs the same files in the same place as an apply. */
export async function withDirectory<T>(
  directory: string,
  signal: AbortSignal,
  fn: () => Promise<T>,
): Promise<T> {
  const mutex = mutexes.get(directory) ?? new Mutex();
  mutexes.set(directory, mutex);
  try {
    return await mutex.run(signal, fn);
  } finally {
    if (!mutex.busy) mutexes.delete(directory);
  }
}
