import { createHash } from "node:crypto";
import { GlasshouseError } from "../domain/errors.ts";
import { templateEventData } from "../domain/event-data.ts";
import type { EventType, NewEvent } from "../domain/event.ts";
import type { Template, TemplateBody, TemplateFile, TemplateSource } from "../domain/template.ts";
import { isJsonObject, toJson } from "../lib/json.ts";
import type { TemplateSummary } from "../ports/repositories.ts";
import { isLeftOut, sourceLimits, type SourceFile, type SourceTree } from "../ports/source.ts";
import type { Tx } from "../ports/store.ts";
import { compileInThread } from "../templates/compile-thread.ts";
import { formatProblem } from "../templates/problem.ts";
import type { Services } from "./deps.ts";
import type { Asked, Effect, Effected } from "./effect.ts";

type Data = Asked<"template.register">["data"];

/**
 * Registers a version of a template from an archive or a git repository: files kept by content, everything checked, and
 * only then one row. The same version with the same content is the same template, so it is safe to repeat. Errors:
 * `invalid-template` with every mistake and its place, `already-exists` for other content under a registered version,
 * and those of the source.
 */
export async function prepareRegister(
  deps: Services,
  asked: Asked<"template.register">,
): Promise<Effect> {
  const { tree, source } = await fetchTree(deps, asked);
  const files = tree.files.filter((file) => !isLeftOut(file.path));
  const body = await compile(deps, files);
  const listed = files.map((file) => describeFile(file));
  const digest = digestOf(listed);
  const known = await deps.store.read((tx) => findSame(tx, body));
  if (known !== null) refuseOtherContent(known, digest);
  await putBlobs(deps, files);
  const template: Omit<Template, "createdAt"> = {
    id: deps.clock.id("template"),
    name: body.name,
    version: body.version,
    status: asked.data.draft === true ? "draft" : "active",
    description: body.description,
    tags: body.tags,
    source,
    digest,
    body,
    files: listed,
  };
  return (tx, now) => register(tx, { template: { ...template, createdAt: now }, data: asked.data });
}

async function register(
  tx: Tx,
  { template, data }: { readonly template: Template; readonly data: Data },
): Promise<Effected> {
  const known = await findSame(tx, template);
  if (known === null) {
    await tx.templates.insert(template);
    return effected(template, data, ["template.registered"]);
  }
  refuseOtherContent(known, template.digest);
  if (known.digest !== template.digest) {
    const replaced = { ...template, id: known.id };
    await tx.templates.replaceDraft(replaced);
    return effected(replaced, data, ["template.registered"]);
  }
  if (known.status !== "draft" || template.status === "draft") return effected(known, data, []);
  await tx.templates.setStatus(known.id, "active");
  return effected({ ...known, status: "active" }, data, ["template.activated"]);
}

function effected(template: TemplateSummary, data: Data, types: readonly EventType[]): Effected {
  const json = toJson({ ...data, archive: undefined });
  return {
    status: "completed",
    templateId: template.id,
    data: isJsonObject(json) ? { ...json, digest: template.digest } : json,
    events: types.map((type) => templateEvent(type, template)),
  };
}

export function templateEvent(type: EventType, template: TemplateSummary): NewEvent {
  return {
    type,
    environmentId: null,
    subject: `templates/${template.name}@${template.version}`,
    data: templateEventData(template),
  };
}

async function findSame(
  tx: Pick<Tx, "templates">,
  { name, version }: Pick<TemplateBody, "name" | "version">,
): Promise<TemplateSummary | null> {
  const versions = await tx.templates.versions(name);
  return versions.find((one) => one.version === version) ?? null;
}

function refuseOtherContent(known: TemplateSummary, digest: string): void {
  if (known.digest === digest || known.status === "draft") return;
  throw new GlasshouseError(
    "already-exists",
    `Template ${known.name}@${known.version} is registered with other content, and a registered version never changes: give this content a new \`version\` in template.yaml.`,
  );
}

async function fetchTree(
  deps: Services,
  { request, data }: Asked<"template.register">,
): Promise<{ readonly tree: SourceTree; readonly source: TemplateSource }> {
  const archive = request.archive ?? decode(data.archive);
  if ((archive === null) === (data.repository === undefined)) {
    const message = "A template comes from a `repository` or from an `archive`: give one of them.";
    throw new GlasshouseError("invalid-request", message, {
      details: [{ message, pointer: "/repository" }],
    });
  }
  if (archive !== null) {
    if (archive.length > sourceLimits.archiveBytes) {
      throw new GlasshouseError(
        "too-large",
        `The archive has ${archive.length} bytes, and at most ${sourceLimits.archiveBytes} are taken.`,
      );
    }
    return { tree: await deps.archive.unpack(archive), source: { kind: "upload" } };
  }
  return fetchRepository(deps, data);
}

async function fetchRepository(
  deps: Services,
  data: Data,
): Promise<{ readonly tree: SourceTree; readonly source: TemplateSource }> {
  const { repository = "", ref, path = "" } = data;
  refuseCredentials(repository);
  const request = {
    repository,
    ref: ref ?? null,
    path,
    allowFile: deps.limits.allowFileRepositories,
  };
  const tree = await deps.git.fetch(request);
  const source = {
    kind: "git",
    repository,
    ref: ref ?? "HEAD",
    commit: tree.commit,
    path,
  } as const;
  return { tree, source };
}

/** The URL is kept and shown, so nothing secret may stand in it. */
function refuseCredentials(repository: string): void {
  const url = URL.canParse(repository) ? new URL(repository) : null;
  if (url === null || (url.username === "" && url.password === "")) return;
  throw new GlasshouseError(
    "unsafe-source",
    `The repository's URL (host ${url.host}) has a user or password in it: leave them out, and give the server credentials by git's own configuration.`,
  );
}

function decode(base64: string | undefined): Uint8Array | null {
  if (base64 === undefined) return null;
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length > 0 && /^[A-Za-z0-9+/\s]*={0,2}\s*$/u.test(base64)) return bytes;
  const message = "The archive is not base64: encode the bytes of a tar.gz.";
  throw new GlasshouseError("invalid-request", message, {
    details: [{ message, pointer: "/archive" }],
  });
}

const templateFile = "template.yaml";

async function compile(deps: Services, files: readonly SourceFile[]): Promise<TemplateBody> {
  const file = files.find(({ path }) => path === templateFile);
  if (file === undefined) {
    const found = files.slice(0, 5).map(({ path }) => path);
    throw new GlasshouseError(
      "invalid-template",
      `There is no ${templateFile} in the template's folder; it has ${found.length === 0 ? "no files" : found.join(", ")}: check the path.`,
    );
  }
  const compiled = await compileInThread(
    {
      file: templateFile,
      text: textOf(file),
      files: files.map(({ path }) => path),
      executors: deps.executors,
    },
    { signal: new AbortController().signal, timeoutMs: deps.limits.compileTimeoutMs },
  );
  if ("body" in compiled) return compiled.body;
  const [first] = compiled.problems;
  const more = compiled.problems.length > 1 ? ` (and ${compiled.problems.length - 1} more)` : "";
  throw new GlasshouseError(
    "invalid-template",
    `${first === undefined ? "The template has mistakes." : formatProblem(first)}${more}`,
    {
      details: compiled.problems.map((problem) => ({
        message: problem.message,
        pointer: problem.pointer,
        place: `${problem.file}:${problem.line}:${problem.column}`,
      })),
    },
  );
}

function textOf(file: SourceFile): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(file.bytes);
  } catch (cause) {
    throw new GlasshouseError("invalid-template", `${file.path} is not UTF-8 text: save it so.`, {
      cause,
    });
  }
}

function describeFile({ path, mode, bytes }: SourceFile): TemplateFile {
  const digest = createHash("sha256").update(bytes).digest("hex");
  return { path, digest, mode: mode & 0o777, size: bytes.length };
}

/** SHA-256 over path, mode and digest of every file, sorted by path in code units. */
function digestOf(files: readonly TemplateFile[]): string {
  const hash = createHash("sha256");
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, mode, digest } of sorted) hash.update(`${path}\0${mode}\0${digest}\n`);
  return hash.digest("hex");
}

const blobsAtOnce = 16;

/** Before the row, so that no template names bytes that are not there; retention removes those that no template names. */
async function putBlobs(deps: Services, files: readonly SourceFile[]): Promise<void> {
  for (let at = 0; at < files.length; at += blobsAtOnce)
    await Promise.all(files.slice(at, at + blobsAtOnce).map(({ bytes }) => deps.blobs.put(bytes)));
}
