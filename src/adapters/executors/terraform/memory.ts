import { z } from "zod";
import type { Json } from "../../../lib/json.ts";

/** What the frozen record of a group keeps for this executor. */
const memory = z.object({
  /** The dependency lock file after the first `init`; null when none was needed. */
  lockFile: z.string().nullable(),
  /** Modules from elsewhere, packed; null when there are none, or too much of them. */
  modules: z.string().nullable().default(null),
  /** Digest of the files it belongs to. */
  filesDigest: z.string(),
  engine: z.object({ product: z.string(), version: z.string() }),
  serial: z.number(),
  lineage: z.string(),
});

export type Memory = z.infer<typeof memory>;

/** Null when nothing was applied to its end yet. */
export function parseMemory(json: Json | undefined): Memory | null {
  const parsed = memory.safeParse(json);
  return parsed.success ? parsed.data : null;
}
