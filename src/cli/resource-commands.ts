import { routeOf, type ResourceView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { joined, printData, printFacts, printList } from "./output.ts";
import type { Column } from "./table.ts";
import { age } from "./text.ts";

const columns: readonly Column<ResourceView>[] = [
  { title: "ENVIRONMENT", value: ({ environmentName }) => environmentName },
  { title: "RESOURCE", value: ({ group, key }) => `${group}.${key}` },
  { title: "NAME", value: ({ name }) => name },
  { title: "COUNT", value: ({ count }) => String(count) },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "AGE", value: ({ createdAt }) => age(createdAt, Date.now()) },
  { title: "DEPENDS ON", value: ({ dependsOn }) => dependsOn.join(", "), wide: true },
  { title: "ID", value: ({ id }) => id },
];

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const environment = call.options.text("environment");
  const shape = { columns, name: ({ id }: ResourceView) => id, empty: "There is no resource." };
  if (environment === undefined) {
    const { items, more } = await api.all(routeOf("listResources"), { limit: limitOf(call) });
    printList(call, items, { ...shape, more });
    return;
  }
  const params = { environment };
  const found = await api.get(routeOf("listEnvironmentResources"), { params });
  if (!printData(call, found)) printList(call, found.items, shape);
}

export async function show(call: Call): Promise<void> {
  const api = await call.api();
  const params = { resource: call.args[0] ?? "" };
  const resource = await api.get(routeOf("getResource"), { params });
  if (printData(call, resource)) return;
  if (call.format === "name") {
    call.terminal.out(`${resource.id}\n`);
    return;
  }
  printFacts(call, [
    ["id", resource.id],
    ["name", resource.name],
    ["description", resource.description],
    ["environment", resource.environmentName],
    ["template", resource.template],
    ["resource", `${resource.group}.${resource.key}`],
    ["status", resource.status],
    ["count", String(resource.count)],
    ["tags", joined(resource.tags)],
    ["links", joined(resource.links)],
    ["checks", resource.checks.join(", ")],
    ["depends on", [...resource.dependsOn, ...resource.external].join(", ")],
    ["created", resource.createdAt],
  ]);
}
