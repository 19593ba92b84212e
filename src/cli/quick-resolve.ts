import { registerHooks, type ResolveHookContext } from "node:module";

/**
 * Lets imports of neighbouring files be found without asking the file system. Node looks each up several times over (is it
 * there, where does it really lie, which package is it in), and nine hundred files are imported at a start of the server.
 * What a relative path with its ending means is known without that; every other import is resolved as ever.
 */
export function resolveQuickly(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      if (isOtherLanguages(specifier, context))
        return { url: nothing, format: "module", shortCircuit: true };
      const format = formatOf(specifier, context);
      if (format === null || context.parentURL === undefined) return next(specifier, context);
      const { href } = new URL(specifier, context.parentURL);
      return { url: href, format, shortCircuit: true };
    },
  });
}

/** Null where it is not certain. A module in a `.js` file is in a package of modules, and so is its neighbour. */
function formatOf(
  specifier: string,
  { conditions, parentURL }: ResolveHookContext,
): "module" | "module-typescript" | null {
  if (!specifier.startsWith(".") || !conditions.includes("import")) return null;
  if (specifier.endsWith(".ts") && parentURL?.endsWith(".ts")) return "module-typescript";
  return specifier.endsWith(".js") && parentURL?.endsWith(".js") ? "module" : null;
}

/** A module without exports. */
const nothing = "data:text/javascript,";

/** Fifty files with zod's messages in other languages than English, which it reads at every start and nobody here asks for. */
function isOtherLanguages(specifier: string, { parentURL }: ResolveHookContext): boolean {
  return (
    specifier === "../locales/index.js" && parentURL?.includes("/node_modules/zod/v4/") === true
  );
}
