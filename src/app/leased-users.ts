import { z } from "zod";
import type { KeptLease } from "../clients/vault/kept-lease.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { VaultParts } from "./vault.ts";

export interface LeasedUser {
  readonly username: string;
  readonly password: string;
}

/** Users that Vault makes and takes away, one after the other, for one server. */
export interface LeasedUsers {
  /** The one in force. Errors: those of the lease; `invalid-configuration` when it gives no user and password. */
  current(): Promise<LeasedUser>;
  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void;
  /** This one is refused: when it is over, there is another one in force when this resolves. */
  refused(user: Pick<LeasedUser, "username">): Promise<void>;
  /** The one in force is used everywhere: those before it may end. */
  settled(): Promise<void>;
}

const prefix = "vault:";
const userSchema = z.object({ username: z.string().min(1), password: z.string().min(1) });

/**
 * The users that `reference`, `vault:` and a path such as `database/creds/glasshouse`, stands for. `key` is where it stands and
 * `others` are keys that say the same in another way. Errors: `invalid-configuration` without a Vault, and beside one of those.
 */
export function leasedUsers(of: {
  readonly key: string;
  readonly reference: string;
  readonly others: Readonly<Record<string, string | undefined>>;
  readonly vault: VaultParts | null;
}): LeasedUsers {
  const { key, reference, others, vault } = of;
  const other = Object.keys(others).find((name) => others[name] !== undefined);
  if (other !== undefined)
    throw wrong(`${key} gives the user and the password: leave ${other} out, or ${key}.`);
  if (vault === null) throw wrong(`${key} is in Vault: it needs vault.address.`);
  const path = reference.slice(prefix.length);
  return usersOf(key, vault.keepLease(path));
}

function usersOf(key: string, lease: KeptLease): LeasedUsers {
  return {
    async current() {
      const { data } = await lease.current();
      const user = userSchema.safeParse(data);
      if (user.success) return user.data;
      const found = Object.keys(data).join(", ");
      throw wrong(`${key}: what Vault gives has no username and password, but ${found}.`);
    },
    watch: (fn) => lease.watch(fn),
    async refused({ username }) {
      const current = await lease.current();
      if (current.data["username"] === username) await lease.doubt(current);
    },
    settled: () => lease.settled(),
  };
}

function wrong(message: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", message);
}
