import { registerHooks } from "node:module";

/** For `--import`: says each package whose files the program begins to load, once. */
const said = new Set<string>();
registerHooks({
  load: (url, context, next) => {
    const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(url)?.[1];
    if (name !== undefined && !said.has(name)) {
      said.add(name);
      process.stderr.write(`loads ${name}\n`);
    }
    return next(url, context);
  },
});
