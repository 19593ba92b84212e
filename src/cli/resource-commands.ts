import { routeOf, type ObservedView, type ResourceView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { UsageError } from "./failure.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { heading, joined, printData, printFacts, printList } from "./output.ts";
import { tableLines, type Column } from "./table.ts";
import { age, cut, moment } from "./text.ts";

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
  const environment = environmentOf(call);
  const query = call.options.text("query");
  const shape = { columns, name: ({ id }: ResourceView) => id, empty: "There is no resource." };
  if (environment !== undefined && query !== undefined)
    throw new UsageError(`Say the environment in the query: environment:${environment}.`);
  if (environment === undefined) {
    const { items, more } = await api.all(routeOf("listResources"), {
      query: { q: query },
      limit: limitOf(call),
    });
    const empty = query === undefined ? shape.empty : "No resource fits.";
    printList(call, items, { ...shape, empty, more });
    return;
  }
  const params = { environment };
  const found = await api.get(routeOf("listEnvironmentResources"), { params });
  if (printData(call, found)) return;
  if (call.format !== "wide") {
    printList(call, found.items, { ...shape, empty: emptyText(environment, found.observed) });
    return;
  }
  printList(call, found.items, shape);
  printObserved(call, found.observed);
}

function environmentOf({ args, options }: Call): string | undefined {
  const [argument] = args;
  const given = options.text("environment");
  if (argument !== undefined && given !== undefined && argument !== given)
    throw new UsageError(`It takes one environment, not both ${argument} and ${given}.`);
  return argument ?? given;
}

function emptyText(environment: string, observed: readonly ObservedView[]): string {
  const count = observed.length;
  if (count === 0) return "There is no resource.";
  return `No template of ${environment} declares a resource; \`glasshouse resource list ${environment} -o wide\` shows the ${count} observed in the real world.`;
}

const observedColumns: readonly Column<ObservedView>[] = [
  { title: "GROUP", value: ({ group }) => group },
  { title: "ADDRESS", value: ({ address }) => address },
  { title: "TYPE", value: ({ type }) => type },
  { title: "EXTERNAL ID", value: ({ externalId }) => externalId ?? "-" },
  { title: "OBSERVED", value: ({ observedAt }) => moment(observedAt) },
  { title: "ATTRIBUTES", value: ({ attributes }) => cut(joined(attributes), 80), wide: true },
];

function printObserved(call: Call, observed: readonly ObservedView[]): void {
  if (observed.length === 0) return;
  heading(call, "Observed in the real world");
  for (const line of tableLines(call, observed, observedColumns)) call.terminal.out(`${line}\n`);
}

function healthText(health: ResourceView["health"]): string {
  if (health === null) return "";
  return health.reason === null ? health.status : `${health.status}: ${health.reason}`;
}

export async function show(call: Call): Promise<void> {
  const api = await call.api();
  const params = { resource: call.args[0] ?? "" };
  const resource = await api.get(routeOf("getResource"), { params });
  const { observed } = await api.get(routeOf("listEnvironmentResources"), {
    params: { environment: resource.environment },
  });
  const own = observed.filter(
    ({ group, template }) => group === resource.group && template === resource.template,
  );
  if (printData(call, { ...resource, observed: own })) return;
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
    ["health", healthText(resource.health)],
    ["depends on", [...resource.dependsOn, ...resource.external].join(", ")],
    ["created", moment(resource.createdAt)],
  ]);
  printObserved(call, own);
}
