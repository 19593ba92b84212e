import { createHash } from "node:crypto";
import type { Cell, Answer } from "../../../clients/postgres/connection.ts";
import { translate } from "../../../clients/postgres/errors.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { BlobStore } from "../../../ports/blob.ts";
import type { ByteSealer } from "../../../ports/secrets.ts";

interface Row {
  readonly isSealed: boolean;
  readonly content: Uint8Array;
}

interface Listed {
  readonly digest: string;
  readonly putAtMs: number;
}

const digestPattern = /^[0-9a-f]{64}$/u;
const listedAtOnce = 1_000;

const put = `insert into "blob" ("digest", "isSealed", "content", "putAt") values (?, ?, ?, clock_timestamp())
   on conflict ("digest") do update set "putAt" = excluded."putAt"`;
const select = `select "isSealed", "content" from "blob" where "digest" = ?`;
const isThere = `select 1 from "blob" where "digest" = ?`;
const remove = `delete from "blob" where "digest" = ?`;
const list = `select "digest", floor(extract(epoch from "putAt") * 1000)::bigint as "putAtMs" from "blob"
   where "digest" > ? order by "digest" limit ?`;

/**
 * Blobs as rows, so that any replica reads what another has put, and one backup holds all of it. Put again, a blob counts as
 * put now, and its content is not written anew.
 */
export class PostgresBlobs implements BlobStore {
  readonly #pool: Pool;
  readonly #sealer: ByteSealer;

  constructor(pool: Pool, sealer: ByteSealer) {
    this.#pool = pool;
    this.#sealer = sealer;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes);
    await this.#ask(put, [digest, false, bytes]);
    return digest;
  }

  async putSealed(bytes: Uint8Array): Promise<string> {
    const digest = this.#sealer.fingerprintBytes(bytes);
    await this.#ask(put, [digest, true, this.#sealer.sealBytes(bytes, blobContext(digest))]);
    return digest;
  }

  async get(digest: string): Promise<Uint8Array> {
    if (!digestPattern.test(digest))
      throw new GlasshouseError("not-found", `"${digest}" is not the digest of a blob.`);
    const { rows } = await this.#ask<Row>(select, [digest]);
    const [row] = rows;
    if (row === undefined)
      throw new GlasshouseError("not-found", `There is no blob ${digest} in the database.`);
    if (row.isSealed) return this.#opened(digest, row.content);
    if (sha256(row.content) === digest) return row.content;
    throw damaged(digest);
  }

  async has(digest: string): Promise<boolean> {
    return (await this.#ask(isThere, [digest])).count > 0;
  }

  async remove(digest: string): Promise<void> {
    await this.#ask(remove, [digest]);
  }

  async *list(): AsyncGenerator<Listed> {
    let after = "";
    for (;;) {
      const { rows } = await this.#ask<Listed>(list, [after, listedAtOnce]);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < listedAtOnce) return;
      after = last.digest;
    }
  }

  #opened(digest: string, sealed: Uint8Array): Uint8Array {
    try {
      return this.#sealer.openBytes(sealed, blobContext(digest));
    } catch (cause) {
      throw damaged(digest, cause);
    }
  }

  async #ask<R>(sql: string, values: readonly Cell[]): Promise<Answer<R>> {
    try {
      return await this.#pool.with((connection) => connection.query<R>(sql, values));
    } catch (error) {
      throw translate(error);
    }
  }
}

/** The digest is authenticated with the content: a sealed row under another digest does not open. */
function blobContext(digest: string): string {
  return `blob/${digest}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function damaged(digest: string, cause?: unknown): GlasshouseError {
  return new GlasshouseError(
    "internal",
    `The blob ${digest} is damaged: its content is not what was put there. Restore it from a backup.`,
    { cause },
  );
}
