import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { VaultClient } from "./client.ts";

/** How the server proves to Vault who it is. Texts are read when they are needed, so that files may be replaced meanwhile. */
export type VaultLogin =
  | { readonly kind: "token"; readonly token: () => Promise<string> }
  | {
      readonly kind: "approle";
      readonly mount: string;
      readonly roleId: () => Promise<string>;
      readonly secretId: () => Promise<string>;
      /** What `secretId` gives is a wrapping token, good for one look. */
      readonly wrapped: boolean;
    }
  | {
      readonly kind: "kubernetes";
      readonly mount: string;
      readonly role: string;
      readonly jwt: () => Promise<string>;
    };

/** A token with what Vault says of it. */
export interface LoginToken {
  readonly token: string;
  /** 0: it does not end. */
  readonly ttlMs: number;
  readonly renewable: boolean;
  /** Made for this server by a login: then it is revoked at the end. */
  readonly ours: boolean;
}

const authSchema = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    lease_duration: z.number(),
    renewable: z.boolean(),
  }),
});
const selfSchema = z.object({
  data: z.object({ ttl: z.number(), renewable: z.boolean().catch(false) }),
});
const unwrappedSchema = z.object({ data: z.object({ secret_id: z.string().min(1) }) });

/**
 * Logs in. One object a server: it keeps a secret-id that was wrapped, as its wrapping token is good for one look only. Errors:
 * those of the client; `forbidden` when what was given is not known to Vault.
 */
export class Login {
  readonly #client: VaultClient;
  readonly #login: VaultLogin;
  #unwrapped: { readonly from: string; readonly secretId: string } | null = null;

  constructor(client: VaultClient, login: VaultLogin) {
    this.#client = client;
    this.#login = login;
  }

  async enter(signal?: AbortSignal): Promise<LoginToken> {
    const login = this.#login;
    switch (login.kind) {
      case "token":
        return lookUp(this.#client, await login.token(), signal);
      case "approle":
        return this.#logIn(
          `auth/${login.mount}/login`,
          { role_id: await login.roleId(), secret_id: await this.#secretId(login, signal) },
          signal,
        );
      case "kubernetes":
        return this.#logIn(
          `auth/${login.mount}/login`,
          { role: login.role, jwt: await login.jwt() },
          signal,
        );
    }
  }

  async #logIn(path: string, body: object, signal: AbortSignal | undefined): Promise<LoginToken> {
    try {
      const answer = await this.#client.call({
        method: "POST",
        path,
        token: null,
        body,
        repeatable: true,
        signal,
      });
      return loginToken(answer.body);
    } catch (error) {
      // Vault answers 400 to a secret-id or role that it does not know.
      if (error instanceof GlasshouseError && error.code === "invalid-request")
        throw new GlasshouseError("forbidden", error.message, { cause: error });
      throw error;
    }
  }

  /** Not tried again once sent: a wrapping token is good for one look. */
  async #secretId(
    { secretId, wrapped }: VaultLogin & { readonly kind: "approle" },
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const given = await secretId();
    if (!wrapped) return given;
    if (this.#unwrapped?.from === given) return this.#unwrapped.secretId;
    const answer = await this.#client.call({
      method: "POST",
      path: "sys/wrapping/unwrap",
      token: given,
      repeatable: false,
      signal,
    });
    const { data } = unwrappedSchema.parse(JSON.parse(answer.body.toString("utf8")));
    this.#unwrapped = { from: given, secretId: data.secret_id };
    return data.secret_id;
  }
}

function loginToken(body: Buffer): LoginToken {
  const { auth } = authSchema.parse(JSON.parse(body.toString("utf8")));
  return {
    token: auth.client_token,
    ttlMs: auth.lease_duration * 1_000,
    renewable: auth.renewable,
    ours: true,
  };
}

/** What Vault says of a token that was given. Errors: `forbidden` when it is not known. */
async function lookUp(
  client: VaultClient,
  token: string,
  signal: AbortSignal | undefined,
): Promise<LoginToken> {
  const answer = await client.call({
    method: "GET",
    path: "auth/token/lookup-self",
    token,
    repeatable: true,
    signal,
  });
  const { data } = selfSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return { token, ttlMs: data.ttl * 1_000, renewable: data.renewable, ours: false };
}

/** The token with its new time. Errors: those of the client. */
export async function renew(client: VaultClient, known: LoginToken): Promise<LoginToken> {
  const answer = await client.call({
    method: "POST",
    path: "auth/token/renew-self",
    token: known.token,
    body: {},
    repeatable: true,
  });
  return { ...loginToken(answer.body), ours: known.ours };
}
