import { routeOf, type AuthorityView } from "../contract/rest.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Call } from "./call.ts";
import { printData, printList } from "./output.ts";
import type { Column } from "./table.ts";
import { moment } from "./text.ts";

const columns: readonly Column<AuthorityView>[] = [
  { title: "AUTHORITY", value: ({ name }) => name },
  { title: "SUBJECT", value: ({ subject }) => subject },
  { title: "GOOD UNTIL", value: ({ notAfter }) => moment(notAfter) },
  { title: "SHA-256", value: ({ sha256 }) => sha256, wide: true },
];

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const found = await api.get(routeOf("listAuthorities"));
  if (printData(call, found)) return;
  printList(call, found.items, {
    columns,
    name: ({ name }) => name,
    empty: "There is no authority.",
  });
}

export async function certificate(call: Call): Promise<void> {
  const authority = await named(call);
  if (!printData(call, authority)) call.terminal.out(authority.certificate);
}

export async function revocations(call: Call): Promise<void> {
  const authority = await named(call);
  if (!printData(call, authority)) call.terminal.out(authority.revocations);
}

/** The one that is named, else the first. Errors: `not-found`. */
async function named(call: Call): Promise<AuthorityView> {
  const api = await call.api();
  const { items } = await api.get(routeOf("listAuthorities"));
  const [wanted] = call.args;
  const found = items.find(({ name }) => wanted === undefined || name === wanted);
  if (found !== undefined) return found;
  const known = items.map(({ name }) => name).join(", ");
  throw new GlasshouseError("not-found", `There is no authority ${wanted ?? ""}: it has ${known}.`);
}
