import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { GlasshouseError } from "../../../domain/errors.ts";
import { errorFrom } from "./diagnostics.ts";
import { exists, readIfThere, removeAll, writePrivate } from "./directory.ts";
import type { Layout } from "./directory.ts";
import { packModules, unpackModules } from "./frozen-modules.ts";
import type { Job } from "./job.ts";
import { hostAccess } from "./module-hosts.ts";
import { Mutex } from "./mutex.ts";
import type { TerraformState } from "./state-file.ts";
import { runTerraform } from "./terraform-process.ts";

/** What the last `init` of this directory was made for, and what it gave. */
const initMark = z.object({
  fingerprint: z.string(),
  /** The lock file that it started from, and the one that it left. */
  startedFrom: z.string().nullable(),
  lockFile: z.string().nullable(),
  modules: z.string().nullable(),
});

/** What an `init` gave and a later one has to give again. */
export interface Initialised {
  readonly lockFile: string | null;
  /** Modules from elsewhere, packed; null when there are none, or too much of them. */
  readonly modules: string | null;
}

const nothing: Initialised = { lockFile: null, modules: null };

/** A shared plug-in cache is not safe for several at once (hashicorp/terraform#31964), so there is one in this process. */
const initialisation = new Mutex();

/**
 * Sees to it that modules and providers are there: not at all when everything is built in, and only anew when the
 * configuration, its lock file or the engine changed, or `force` says that Terraform asked for it. Returns what the work
 * then uses.
 */
export async function ensureInit(
  job: Job,
  state: TerraformState | null,
  force = false,
): Promise<Initialised> {
  const { layout, ctx } = job;
  const providers = state?.providers ?? [];
  if (!force && !job.configuration.needsInit && providers.length === 0) return nothing;
  const start = await startingPoint(job);
  const fingerprint = fingerprintOf(job);
  const mark = readMark(layout.initMark);
  if (
    !force &&
    mark?.fingerprint === fingerprint &&
    (start.lockFile === mark.startedFrom || start.lockFile === mark.lockFile) &&
    providers.every((provider) => mark.lockFile?.includes(`"${provider}"`)) &&
    exists(join(layout.module, ".terraform"))
  ) {
    await layLock(job, mark.lockFile);
    return mark;
  }
  await layLock(job, start.lockFile);
  await initialisation.run(ctx.signal, () => init(job, state, force ? nothing : start.frozen));
  const done = {
    lockFile: (await readIfThere(layout.lock))?.toString("utf8") ?? null,
    modules: await foreignModules(job),
  };
  const text = JSON.stringify({ fingerprint, startedFrom: start.lockFile, ...done });
  await writePrivate(layout.initMark, text);
  return done;
}

/** What the last `init` here gave, for a result that was lost. */
export async function lastInit(layout: Layout): Promise<Initialised> {
  return readMark(layout.initMark) ?? nothing;
}

/** Modules of the template itself are kept with it. */
async function foreignModules({ configuration, layout }: Job): Promise<string | null> {
  const foreign = configuration.moduleSources.some((source) => !/^\.\.?\//u.test(source));
  return foreign ? await packModules(join(layout.module, ".terraform", "modules")) : null;
}

/**
 * The template's own lock file counts first. Otherwise it is the one of the last apply: unchangeable while the files are
 * the same, as the modules are, and a starting point when they have changed.
 */
async function startingPoint(
  job: Job,
): Promise<{ readonly lockFile: string | null; readonly frozen: Initialised }> {
  const { ctx, settings, memory, layout, filesDigest } = job;
  const own = `${settings.source === "" ? "" : `${settings.source}/`}.terraform.lock.hcl`;
  const same = memory !== null && memory.filesDigest === filesDigest;
  const modules = same ? memory.modules : null;
  if (ctx.files.paths.includes(own)) {
    const lockFile = await readFile(layout.lock, "utf8");
    return { lockFile, frozen: { lockFile: null, modules } };
  }
  const lockFile = memory?.lockFile ?? null;
  return { lockFile, frozen: { lockFile: same ? lockFile : null, modules } };
}

async function layLock(job: Job, text: string | null): Promise<void> {
  if (text === null) return removeAll([job.layout.lock]);
  const present = await readIfThere(job.layout.lock);
  if (present?.toString("utf8") !== text) await writePrivate(job.layout.lock, text);
}

function fingerprintOf(job: Job): string {
  const { program, settings, filesDigest, launcher } = job;
  const parts = [
    program.product,
    program.version,
    settings.source,
    filesDigest,
    launcher.env["TF_CLI_CONFIG_FILE"],
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function readMark(path: string): z.infer<typeof initMark> | null {
  try {
    const parsed = initMark.safeParse(JSON.parse(readFileSync(path, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/**
 * Modules and providers may come over a network. A failure of that is `unavailable` (see diagnostics.ts), so the step is tried
 * again by its own policy; there is no other retry here, and what Terraform does by itself within one `init` is left as the
 * user has set it.
 */
async function init(job: Job, state: TerraformState | null, frozen: Initialised): Promise<void> {
  const { ctx, layout, launcher, redact, program } = job;
  removeAll([layout.initMark]);
  if (frozen.modules !== null) {
    await unpackModules(frozen.modules, join(layout.module, ".terraform", "modules"));
  }
  const options = [
    ...(frozen.lockFile === null ? [] : ["-lockfile=readonly"]),
    ...(frozen.modules === null ? [] : ["-get=false"]),
  ];
  // The state says which providers are needed for objects that the configuration no longer names.
  const borrowed = state !== null && !exists(layout.state);
  if (borrowed) await writePrivate(layout.state, state.bytes);
  const lines: string[] = [];
  const access = await hostAccess(job.means.hosts(ctx.template.name), {
    product: program.product,
    env: launcher.env,
  });
  try {
    const exit = await runTerraform(launcher, ctx, {
      access,
      args: ["init", "-input=false", "-no-color", ...options],
      outputFile: layout.initOutput,
      onLine: (line) => {
        if (line.trim() === "") return;
        lines.push(line);
        ctx.log(redact(line));
      },
    });
    if (exit.code === 0) return;
    if (ctx.signal.aborted) {
      throw new GlasshouseError("step-interrupted", `init of group ${ctx.group} was stopped.`);
    }
    const at = lines.findIndex((line) => /Error:/u.test(line));
    const text = lines.slice(Math.max(0, at)).join("\n");
    const doing = `${program.product} init of group ${ctx.group}`;
    throw errorFrom({ diagnostics: [], doing, text, redact });
  } finally {
    removeAll([layout.initOutput, ...(borrowed ? [layout.state] : [])]);
  }
}
