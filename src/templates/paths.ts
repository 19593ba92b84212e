import type { Json } from "../lib/json.ts";
import type { Context } from "./context.ts";
import type { Path } from "./problem.ts";

/** Checks that a path is relative, stays inside the template's folder and exists. */
export function checkPath(context: Context, value: string, path: Path): void {
  const mistake = pathMistake(value, context.hasFile);
  if (mistake !== null) context.problems.add({ path }, mistake);
}

/** Checks the first item of a command: a file of the template (`./…`) or the name of a program on PATH. */
export function checkProgram(context: Context, value: Json | undefined, path: Path): void {
  if (typeof value !== "string" || value === "") {
    if (value !== undefined)
      context.problems.add(
        { path },
        "the program must be text: a file of the template (./…) or a program on PATH",
      );
    return;
  }
  if (value.includes("${{")) {
    context.problems.add(
      { path },
      "the program must be written out: use expressions in its arguments",
    );
  } else if (value.includes("/")) {
    checkPath(context, value, path);
    if (context.hasFile(normalPath(value)) === "directory") {
      context.problems.add(
        { path },
        `the program ${JSON.stringify(value)} is a folder: name a file`,
      );
    }
  }
}

function pathMistake(value: string, hasFile: Context["hasFile"]): string | null {
  const shown = JSON.stringify(value);
  const right = "write a path relative to template.yaml, such as ./network";
  if (value === "") return `the path is empty: ${right}`;
  if (value.includes("\0")) return `the path ${shown} holds a NUL character: remove it`;
  if (value.startsWith("/") || /^[a-zA-Z]:[\\/]/u.test(value))
    return `the path ${shown} is absolute: ${right}`;
  if (value.includes("\\")) return `the path ${shown} holds a backslash: separate its parts with /`;
  if (value.split("/").includes(".."))
    return `the path ${shown} leaves the template's folder or may: ${right}, without ..`;
  const normal = normalPath(value);
  const kind = normal === "" ? "directory" : hasFile(normal);
  if (kind === "outside")
    return `the path ${shown} is a link that leaves the template's folder: put the file into the folder`;
  if (kind === "missing")
    return `there is no ${shown} in the template's folder: add it, or correct the path`;
  return null;
}

/** Without `.` and empty parts; "" is the folder itself. */
export function normalPath(value: string): string {
  return value
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** A lookup over a list of the template's files, as `compileTemplate` wants it. */
export function fileLookup(files: Iterable<string>): Context["hasFile"] {
  const known = new Set<string>();
  const directories = new Set<string>();
  for (const file of files) {
    known.add(file);
    for (let end = file.lastIndexOf("/"); end > 0; end = file.lastIndexOf("/", end - 1)) {
      const directory = file.slice(0, end);
      if (directories.has(directory)) break;
      directories.add(directory);
    }
  }
  return (path) => {
    if (known.has(path)) return "file";
    return directories.has(path) ? "directory" : "missing";
  };
}
