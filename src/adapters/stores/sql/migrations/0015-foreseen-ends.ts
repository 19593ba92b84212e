import type { Ddl } from "./ddl.ts";

/** What a statement calls when it does not find what its sender has relied on (`postgres/foresight.ts`): nothing of the transaction is kept then. */
export const unforeseenCode = "GH001";

/** For programs of before it is nothing. */
export function foreseenEnds({ shared }: Ddl): readonly string[] {
  if (!shared) return [];
  return [
    `create or replace function "unforeseen"() returns boolean language plpgsql as $$
      begin
        raise exception using errcode = '${unforeseenCode}',
          message = 'it is not as it was foreseen, so the transaction is undone and runs again; that is no fault';
      end $$`,
  ];
}
