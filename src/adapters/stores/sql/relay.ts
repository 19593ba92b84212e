import type { RelayGrant, RelayRepository } from "../../../ports/relay.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";

const begin = statement(
  `insert into "relay" ("name", "position", "owner", "token", "leaseEndsAt")
   values (?, (select coalesce(max("position"), 0) from "event"), '', 0, '') on conflict ("name") do nothing`,
);
const take = statement<RelayGrant>(
  `update "relay" set "token" = case when "owner" = ? then "token" else "token" + 1 end, "owner" = ?, "leaseEndsAt" = ?
   where "name" = ? and ("owner" = ? or "leaseEndsAt" <= ?) returning "token", "position"`,
);
const advance = statement(
  `update "relay" set "position" = case when "position" > ? then "position" else ? end, "leaseEndsAt" = ?
   where "name" = ? and "token" = ?`,
);
const release = statement(
  `update "relay" set "owner" = '', "leaseEndsAt" = '', "token" = "token" + 1 where "name" = ? and "token" = ?`,
);
const select = statement<{ readonly position: number }>(
  `select "position" from "relay" where "name" = ?`,
);

export function relays(session: Session): RelayRepository {
  return {
    async take(name, owner, leaseMs) {
      await session.change(begin, name);
      const now = await session.time();
      const endsAt = later(now, leaseMs);
      const row = await session.one(take, owner, owner, endsAt, name, owner, now);
      return row === undefined ? null : { token: row.token, position: row.position };
    },
    async advance(name, { token, position, leaseMs }) {
      const endsAt = later(await session.time(), leaseMs);
      return (await session.change(advance, position, position, endsAt, name, token)) > 0;
    },
    async release(name, token) {
      await session.change(release, name, token);
    },
    async position(name) {
      return (await session.one(select, name))?.position ?? null;
    },
  };
}

function later(time: string, byMs: number): string {
  return new Date(Date.parse(time) + byMs).toISOString();
}
