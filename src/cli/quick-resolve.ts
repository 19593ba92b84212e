import { registerHooks, type ResolveFnOutput, type ResolveHookContext } from "node:module";

/**
 * Lets imports be found without asking the file system for each. Node looks each up several times over (is it there, where
 * does it really lie, which package is it in), and hundreds of files are imported at a start of the server. What a relative
 * path with its ending means is known without that, and a package is the same one for all files of the program.
 */
export function resolveQuickly(): void {
  const packages = new Map<string, ResolveFnOutput>();
  registerHooks({
    resolve: (specifier, context, next) => {
      if (isOtherLanguages(specifier, context))
        return { url: nothing, format: "module", shortCircuit: true };
      const near = neighbour(specifier, context);
      if (near !== null) return near;
      if (!isPackageOfOurs(specifier, context)) return next(specifier, context);
      const known = packages.get(specifier);
      if (known !== undefined) return known;
      const found = next(specifier, context);
      packages.set(specifier, { ...found, shortCircuit: true });
      return found;
    },
  });
}

/** Null where it is not certain. A module in a `.js` file is in a package of modules, and so is its neighbour. */
function neighbour(
  specifier: string,
  { conditions, parentURL }: ResolveHookContext,
): ResolveFnOutput | null {
  if (!specifier.startsWith(".") || parentURL === undefined) return null;
  const isImported = conditions.includes("import");
  if (isImported && specifier.endsWith(".ts") && parentURL.endsWith(".ts"))
    return { url: beside(specifier, parentURL), format: "module-typescript", shortCircuit: true };
  if (!specifier.endsWith(".js") || !parentURL.endsWith(".js")) return null;
  const url = beside(specifier, parentURL);
  return isImported ? { url, format: "module", shortCircuit: true } : { url, shortCircuit: true };
}

function beside(specifier: string, parentURL: string): string {
  return new URL(specifier, parentURL).href;
}

/** All TypeScript files are of one package, and so have the same ones to import from. */
function isPackageOfOurs(
  specifier: string,
  { conditions, parentURL }: ResolveHookContext,
): boolean {
  return (
    !specifier.startsWith(".") &&
    conditions.includes("import") &&
    parentURL?.endsWith(".ts") === true
  );
}

/** A module without exports. */
const nothing = "data:text/javascript,";

/** Fifty files with zod's messages in other languages than English, which it reads at every start and nobody here asks for. */
function isOtherLanguages(specifier: string, { parentURL }: ResolveHookContext): boolean {
  return (
    specifier === "../locales/index.js" && parentURL?.includes("/node_modules/zod/v4/") === true
  );
}
