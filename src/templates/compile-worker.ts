import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import type { SettingsShape } from "../domain/settings.ts";
import { compileTemplate } from "./compile.ts";
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

const result = compileTemplate({
  file: given.file,
  text: given.text,
  hasFile: fileLookup(given.files),
  executors: given.executors,
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort?.postMessage(result);
