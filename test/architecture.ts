import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";

/** One row of the table in ARCHITECTURE.md: files in a folder of src/ and what they may import. */
export interface Layer {
  /** Folder below src/, `*` standing for any one name. Each folder that it matches is a unit of its own. */
  readonly folder: string;
  /** Announced, but not there yet. */
  readonly later: boolean;
  /** Folders or files below src/, without `.ts`. */
  readonly mayImport: readonly string[];
  /** Packages and `node:` modules, or `any`. Tests are free. */
  readonly packages: readonly string[] | "any";
}

export interface SourceFile {
  /** Relative to src/. */
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly from: string;
  readonly specifier: string;
}

/** Reads the rows of the table whose first column is headed "folder in `src/`". */
export function readLayers(markdown: string): readonly Layer[] {
  const lines = markdown.split("\n");
  const start = lines.findIndex((line) => /^\|\s*folder in `src\/`/u.test(line));
  if (start === -1) throw new Error("ARCHITECTURE.md has no table headed: folder in `src/`");
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end === -1 ? lines.length : end).map((line) => readLayer(line));
}

function readLayer(line: string): Layer {
  const [folder = "", , imports = "", packages = ""] = line.split("|").slice(1);
  const name = codes(folder)[0];
  if (name === undefined) throw new Error(`ARCHITECTURE.md: a row without a folder: ${line}`);
  return {
    folder: name.replace(/\/$/u, ""),
    later: folder.includes("(later)"),
    mayImport: codes(imports),
    packages: packages.trim() === "any" ? "any" : codes(packages),
  };
}

function codes(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/gu)].map((match) => match[1] ?? "");
}

export function readSources(sourceFolder: string): readonly SourceFile[] {
  const paths = globSync("**/*.ts", { cwd: sourceFolder }).toSorted();
  return paths.map((path) => ({ path, text: readFileSync(join(sourceFolder, path), "utf8") }));
}

/** Everything that breaks the table, one sentence each; empty when all is well. */
export function findBreaches(layers: readonly Layer[], files: readonly SourceFile[]): string[] {
  const imports = files.flatMap((file) => readImports(file));
  return [
    ...files.flatMap((file) => unreadable(file)),
    ...files
      .filter((file) => layerOf(layers, file.path) === undefined)
      .map((file) => `${file.path}: its folder has no row in ARCHITECTURE.md`),
    ...layers.flatMap((layer) => rowBreach(layers, layer, files)),
    ...imports.flatMap((found) => importBreach(layers, files, found)),
    ...findCycles(imports),
  ];
}

// The formatter puts every import at the start of a line, with double quotes; `unreadable` refuses what looks otherwise.
const importForms = [
  /^import\s+(?:type\s+)?[\w*{][^;"']*?from\s*"([^"]+)"/gmu,
  /^import\s*"([^"]+)"/gmu,
  /^export\s+(?:type\s+)?[*{][^;"']*?from\s*"([^"]+)"/gmu,
  /\bimport\(\s*"([^"]+)"/gu,
  /\bnew URL\(\s*"(\.[^"]+\.ts)",\s*import\.meta\.url/gu,
];

function readImports(file: SourceFile): readonly Import[] {
  return importForms.flatMap((form) =>
    [...file.text.matchAll(form)].map((match) => ({ from: file.path, specifier: match[1] ?? "" })),
  );
}

/** A way to import that the forms above cannot follow must not hide an edge: it is refused. */
function unreadable({ path, text }: SourceFile): string[] {
  const written = [...text.matchAll(/(?:^|[\s}*])from\s*["'](?:\.|node:)/gmu)].length;
  const read = [0, 2].flatMap((form) => [...text.matchAll(importForms[form] ?? /$^/gu)]);
  const followed = read.filter((match) => /^(?:\.|node:)/u.test(match[1] ?? "")).length;
  return [
    ...(written === followed
      ? []
      : [`${path}: ${written} imports written, ${followed} understood`]),
    ...(/\bimport\(\s*[^"\s]/u.test(text) && !mayComputeImports(path)
      ? [`${path}: import() of a computed path`]
      : []),
    ...(/\bcreateRequire\b|\brequire\(/u.test(text) ? [`${path}: require`] : []),
  ];
}

/** Contract suites load the fixture of the adapter under test by its path. */
function mayComputeImports(path: string): boolean {
  return isTest(path) || path.startsWith("testing/");
}

/** The most exact row that matches: literal names win over `*`, from the left. */
function layerOf(layers: readonly Layer[], path: string): Layer | undefined {
  const matching = layers.filter((layer) => unitOf(layer, path) !== undefined);
  const rank = (layer: Layer): string => layer.folder.replaceAll("*", " ");
  return matching.toSorted((a, b) => (rank(a) < rank(b) ? 1 : -1))[0];
}

/** The part of the path that the row's folder matches, for example `adapters/executors/command`. */
function unitOf(layer: Layer, path: string): string | undefined {
  const wanted = layer.folder.split("/");
  const given = path.split("/");
  const fits = wanted.every((part, index) => part === "*" || part === given[index]);
  return fits && given.length > wanted.length ? given.slice(0, wanted.length).join("/") : undefined;
}

function rowBreach(layers: readonly Layer[], layer: Layer, files: readonly SourceFile[]): string[] {
  const used = files.some((file) => layerOf(layers, file.path) === layer);
  if (!used && !layer.later) return [`ARCHITECTURE.md: ${layer.folder} has a row but no file`];
  if (used && layer.later)
    return [`ARCHITECTURE.md: ${layer.folder} is there, take "(later)" away`];
  return [];
}

function importBreach(
  layers: readonly Layer[],
  files: readonly SourceFile[],
  { from, specifier }: Import,
): string[] {
  const layer = layerOf(layers, from);
  if (layer === undefined) return [];
  if (!specifier.startsWith(".")) return packageBreach(layer, { from, specifier });
  const target = normalize(join(dirname(from), specifier));
  if (!files.some((file) => file.path === target)) {
    return [`${from}: ${specifier} is no .ts file below src/`];
  }
  if (target.endsWith(".fixture.ts") && !isTest(from)) return [`${from}: may not import a fixture`];
  const unit = unitOf(layer, from) ?? from;
  const allowed = [unit, ...layer.mayImport, ...(isTest(from) ? ["testing"] : [])];
  if (allowed.some((folder) => isInside(folder, target))) return [];
  return [`${from}: may not import ${target} (${layer.folder} may: ${layer.mayImport.join(", ")})`];
}

function packageBreach(layer: Layer, { from, specifier }: Import): string[] {
  if (layer.packages === "any" || isTest(from) || layer.packages.includes(specifier)) return [];
  return [`${from}: may not import the package ${specifier}`];
}

/** Tests, and what only tests start or import. */
function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith(".fixture.ts");
}

function isInside(folder: string, path: string): boolean {
  return path === `${folder}.ts` || path.startsWith(`${folder}/`);
}

/** Cycles among files, imports of types included; each is reported once. */
function findCycles(imports: readonly Import[]): string[] {
  const edges = new Map<string, string[]>();
  for (const { from, specifier } of imports) {
    if (!specifier.startsWith(".")) continue;
    edges.set(from, [...(edges.get(from) ?? []), normalize(join(dirname(from), specifier))]);
  }
  const done = new Set<string>();
  return [...edges.keys()].flatMap((file) => walk(file, [], { edges, done }));
}

interface Walk {
  readonly edges: ReadonlyMap<string, readonly string[]>;
  readonly done: Set<string>;
}

function walk(file: string, trail: readonly string[], state: Walk): string[] {
  const seenAt = trail.indexOf(file);
  if (seenAt !== -1) return [`cycle: ${[...trail.slice(seenAt), file].join(" → ")}`];
  if (state.done.has(file)) return [];
  const next = (state.edges.get(file) ?? []).flatMap((to) => walk(to, [...trail, file], state));
  state.done.add(file);
  return next;
}
