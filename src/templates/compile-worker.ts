import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import type { SettingsShape } from "../domain/settings.ts";
import { checkTemplate } from "./compile.ts";
import { inParts } from "./compile-parts.ts";
import { fileLookup } from "./paths.ts";

/** Entry of the thread that `compileInThread` starts: one template in, one result out. */
const given = z
  .object({
    file: z.string(),
    text: z.string(),
    files: z.array(z.string()),
    executors: z.array(z.object({ name: z.string(), settings: z.custom<SettingsShape>() })),
  })
  .parse(workerData);

const checked = checkTemplate({
  file: given.file,
  text: given.text,
  hasFile: fileLookup(given.files),
  executors: given.executors,
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort?.postMessage("body" in checked ? inParts(checked.body) : checked);
