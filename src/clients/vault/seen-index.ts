import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";

const positionSchema = z.object({ cluster: z.string(), value: z.string().regex(/^\d+$/u) });

interface Seen {
  readonly index: string;
  /** Null when it is written in another way. */
  readonly position: z.output<typeof positionSchema> | null;
}

/**
 * What a client has seen of a cluster whose standbys answer reads themselves (those of OpenBao): they follow the active node some
 * milliseconds later, so what was written may still be missing there, and a write be refused for a version that is gone.
 * Answers carry how far the node was; whoever sends the newest of these gets no older answer: a standby that is not so far passes
 * the request on.
 */
export class SeenIndex {
  #newest: Seen | null = null;

  /** Looks at the headers of an answer, in whichever order answers come. */
  note(headers: IncomingHttpHeaders): void {
    const index = headers["x-vault-index"];
    if (typeof index !== "string" || index === this.#newest?.index) return;
    const seen = { index, position: positionOf(index) };
    if (this.#newest === null || !isOlder(seen, this.#newest)) this.#newest = seen;
  }

  /** For the next request. None as long as no answer had one, as from Vault's free edition, whose standbys pass everything on. */
  headers(): Readonly<Record<string, string>> {
    if (this.#newest === null) return {};
    return { "x-vault-index": this.#newest.index, "x-vault-inconsistent": "forward-active-node" };
  }
}

/** Only two of the same cluster can be compared, and only as OpenBao writes them. */
function isOlder({ position: one }: Seen, { position: other }: Seen): boolean {
  if (one === null || other === null || one.cluster !== other.cluster) return false;
  return BigInt(one.value) < BigInt(other.value);
}

function positionOf(index: string): Seen["position"] {
  try {
    const text = Buffer.from(index, "base64").toString("utf8");
    return positionSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
