import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Json } from "../../../src/lib/json.ts";
import type { ExecutorContext, StateCopy, StateSlot } from "../../../src/ports/executor.ts";
import { TestGroup } from "../../../src/testing/executor-group.ts";
import { engines } from "./engines.ts";

/**
 * A server to be killed: one group whose memory lies on the disk, so that another process can go on with it. Run as a
 * program with a directory and an engine's name, it applies the group once.
 */
export const size = 400;
export const owner = "glasshouse/env_1/web";

const copyRow = z.object({ base64: z.string(), serial: z.number(), lineage: z.string() });
const noteRow = z.custom<Json>();

export const childRow = z.object({
  pid: z.number(),
  startTime: z.string(),
  bootId: z.string(),
  stopsWithinMs: z.number(),
});

export function crashContext(directory: string): ExecutorContext {
  const text = `resource "terraform_data" "x" {\n  count = ${size}\n  input = count.index\n}\n`;
  const group = new TestGroup(join(directory, "work"), {
    settings: { source: "." },
    files: { "main.tf": { text } },
    outputs: [],
  });
  const notes = readNotes(directory);
  return group.context({
    owner,
    attempts: notes.length === 0 ? [] : [{ ...group.unknownAttempt(), notes }],
    state: diskSlot(directory),
    note: (note) => {
      appendFileSync(join(directory, "notes.jsonl"), `${JSON.stringify(note)}\n`);
      return Promise.resolve();
    },
    childStarted: ({ identity }) => {
      put(join(directory, "child.json"), JSON.stringify(identity));
      return Promise.resolve();
    },
  });
}

function readNotes(directory: string): readonly Json[] {
  return read(join(directory, "notes.jsonl"))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => noteRow.parse(JSON.parse(line)));
}

function diskSlot(directory: string): StateSlot {
  const version = join(directory, "version.json");
  const progress = join(directory, "progress.json");
  return {
    latest: () => Promise.resolve(readCopy(version)),
    inProgress: () => Promise.resolve(readCopy(progress)),
    saveProgress: (copy) => Promise.resolve(putCopy(progress, copy)),
    saveVersion: (copy) => {
      putCopy(version, copy);
      put(progress, "");
      return Promise.resolve();
    },
  };
}

function readCopy(path: string): StateCopy | null {
  const text = read(path);
  if (text === "") return null;
  const { base64, serial, lineage } = copyRow.parse(JSON.parse(text));
  return { bytes: Buffer.from(base64, "base64"), serial, lineage };
}

function putCopy(path: string, { bytes, serial, lineage }: StateCopy): void {
  const base64 = Buffer.from(bytes).toString("base64");
  put(path, JSON.stringify({ base64, serial, lineage }));
}

function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

if (process.argv[1] === import.meta.filename) {
  const [, , directory = "", name] = process.argv;
  const engine = engines.find((each) => each.name === name);
  process.stdout.write("ready\n");
  await engine?.executor.apply(crashContext(directory));
  process.stdout.write("done\n");
}
