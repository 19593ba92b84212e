import { routeOf, type SearchHitView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { printList } from "./output.ts";
import type { Column } from "./table.ts";
import { cut } from "./text.ts";

const columns: readonly Column<SearchHitView>[] = [
  { title: "KIND", value: ({ kind }) => kind },
  { title: "NAME", value: ({ name }) => name },
  {
    title: "ENVIRONMENT",
    value: ({ kind, environmentName }) => (kind === "environment" ? "" : (environmentName ?? "")),
  },
  { title: "GROUP", value: ({ group }) => group ?? "" },
  { title: "TYPE", value: ({ type }) => type ?? "" },
  {
    title: "STATUS",
    value: ({ status }) => status ?? "",
    style: ({ status }) => (status === null ? null : statusStyle(status)),
  },
  { title: "FOUND IN", value: ({ matches }) => foundIn(matches.slice(0, 1)) },
  { title: "ALSO IN", value: ({ matches }) => foundIn(matches.slice(1)), wide: true },
  { title: "ID", value: ({ id }) => id ?? "", wide: true },
];

export async function search(call: Call): Promise<void> {
  const api = await call.api();
  const q = call.args.join(" ");
  const { items, more } = await api.all(routeOf("search"), { query: { q }, limit: limitOf(call) });
  printList(call, items, { columns, name: nameOf, empty: "Nothing fits.", more });
}

/** What other commands take: the name of an environment, the id of a resource. */
function nameOf({ kind, id, name }: SearchHitView): string {
  return kind === "resource" ? (id ?? name) : name;
}

/** What is in the name stands beside it already. */
function foundIn(matches: SearchHitView["matches"]): string {
  return matches
    .map(({ field, excerpt }) =>
      field === "name" || field === "address" ? field : `${field}: ${cut(excerpt, 60)}`,
    )
    .join("; ");
}
