import { resolve } from "node:path";
import { stat } from "node:fs/promises";
import {
  routeOf,
  type CommandView,
  type TemplateSummaryView,
  type TemplateView,
} from "../contract/rest.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { UsageError } from "./failure.ts";
import { refuseFailed } from "./follow.ts";
import { printGraph } from "./graph.ts";
import { pause } from "./pause.ts";
import { heading, joined, oneLine, printData, printFacts, printList } from "./output.ts";
import { tableLines, type Column } from "./table.ts";
import { age, moment, painter, safe } from "./text.ts";
import { sendCommand } from "./finish-command.ts";

export async function lint(call: Call): Promise<number> {
  const { lintDirectory } = await import("../app/lint.ts");
  const shown = call.args[0] ?? ".";
  const result = await lintDirectory(resolve(call.terminal.cwd, shown), shown);
  const code = result.mistakes.length === 0 ? 0 : 2;
  if (printData(call, result)) return code;
  const paint = painter(call.terminal, "out");
  for (const { place, message } of result.mistakes)
    call.terminal.out(`${safe(place)}: ${paint("red", "error:")} ${safe(message)}\n`);
  for (const { place, message } of result.warnings)
    call.terminal.out(`${safe(place)}: ${paint("yellow", "warning:")} ${safe(message)}\n`);
  if (result.template === null) call.terminal.err(`${count(result.mistakes.length, "mistake")}\n`);
  else
    call.terminal.out(
      `${result.template.name}@${result.template.version}: ${paint("green", "well-formed")}, ${count(result.groups, "group")}\n`,
    );
  return code;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

export async function register(call: Call): Promise<number> {
  const source = call.args[0] ?? "";
  const api = await call.api();
  const draft = call.options.flag("draft");
  const command = isRepository(source)
    ? await registerRepository(call, api, source)
    : await registerDirectory(call, api, { directory: source, draft });
  const done = await settled(api, command);
  if (printData(call, done)) return 0;
  const template = done.template === null ? null : await summaryOf(api, done.template);
  const name = template === null ? (done.subject ?? "") : `${template.name}@${template.version}`;
  if (call.format === "name") call.terminal.out(`${safe(name)}\n`);
  else
    call.terminal.out(
      `${safe(name)} is registered${template === null ? "" : ` (${template.status}${template.source.commit === undefined ? "" : `, commit ${template.source.commit}`})`}\n`,
    );
  return 0;
}

function isRepository(source: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//iu.test(source);
}

async function registerRepository(call: Call, api: Api, repository: string): Promise<CommandView> {
  const ref = call.options.text("ref");
  const path = call.options.text("path");
  return api.ask(routeOf("registerTemplate"), {
    body: {
      repository,
      ...(ref === undefined ? {} : { ref }),
      ...(path === undefined ? {} : { path }),
      ...(call.options.flag("draft") ? { draft: true } : {}),
    },
    // The server has asked the repository's host more than once already: people should hear what it said.
    once: true,
    // The server may fetch for a minute.
    signal: AbortSignal.timeout(120_000),
  });
}

async function registerDirectory(
  call: Call,
  api: Api,
  { directory, draft }: { readonly directory: string; readonly draft: boolean },
): Promise<CommandView> {
  if (call.options.text("ref") !== undefined || call.options.text("path") !== undefined)
    throw new UsageError("--ref and --path belong to a git repository (https://… or file://…).");
  const absolute = resolve(call.terminal.cwd, directory);
  const isFolder = await stat(absolute).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new UsageError(
      `"${directory}" is neither a folder nor the address of a repository (https://… or file://…).`,
    );
  const { packDirectory } = await import("../app/lint.ts");
  return api.ask(routeOf("registerTemplate"), {
    archive: await packDirectory(absolute),
    query: { draft: draft ? true : undefined },
    signal: AbortSignal.timeout(120_000),
  });
}

/** Commands about templates need no run: they are done soon. */
async function settled(api: Api, command: CommandView): Promise<CommandView> {
  let seen = command;
  for (let looks = 0; looks < 100 && seen.status === "accepted"; looks += 1) {
    await pause(100, new AbortController().signal);
    seen = await api.get(routeOf("getCommand"), { params: { command: seen.id } });
  }
  refuseFailed(seen);
  return seen;
}

async function summaryOf(api: Api, id: string): Promise<TemplateSummaryView | null> {
  const { items } = await api.all(routeOf("listTemplateVersions"), {
    params: { template: id },
    limit: 500,
  });
  return items.find((template) => template.id === id) ?? null;
}

const columns: readonly Column<TemplateSummaryView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "VERSION", value: ({ version }) => version },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "AGE", value: ({ createdAt }) => age(createdAt, Date.now()) },
  { title: "ID", value: ({ id }) => id, wide: true },
  {
    title: "SOURCE",
    value: ({ source }) =>
      source.kind === "upload" ? "upload" : `${source.repository} ${source.commit}`,
    wide: true,
  },
  { title: "DESCRIPTION", value: ({ description }) => description },
];

function nameOf({ name, version }: TemplateSummaryView): string {
  return `${name}@${version}`;
}

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const [name] = call.args;
  const limit = limitOf(call);
  const query = call.options.text("query");
  if (name !== undefined && query !== undefined)
    throw new UsageError(`Say the template in the query: template:${name}.`);
  const { items, more } =
    name === undefined
      ? await api.all(routeOf("listTemplates"), { query: { q: query }, limit })
      : await api.all(routeOf("listTemplateVersions"), { params: { template: name }, limit });
  const empty =
    query === undefined
      ? "There is no template; `glasshouse template register` adds one."
      : "No template fits.";
  printList(call, items, { columns, name: nameOf, empty, more });
}

export async function show(call: Call): Promise<void> {
  const [name = "", version = "latest"] = splitReference(call.args[0] ?? "");
  const api = await call.api();
  const template = await api.get(routeOf("getTemplate"), { params: { template: name, version } });
  if (printData(call, template)) return;
  if (call.format === "name") call.terminal.out(`${template.name}@${template.version}\n`);
  else printTemplate(call, template);
}

function splitReference(reference: string): readonly string[] {
  const at = reference.indexOf("@");
  return at === -1 ? [reference] : [reference.slice(0, at), reference.slice(at + 1)];
}

function printTemplate(call: Call, template: TemplateView): void {
  const paint = painter(call.terminal, "out");
  call.terminal.out(
    `${paint("bold", `${template.name}@${template.version}`)}  ${template.status}\n`,
  );
  printFacts(call, [
    ["id", template.id],
    ["description", template.description],
    ["tags", joined(template.tags)],
    ["repository", template.source.repository],
    ["commit", template.source.commit],
    ["registered", moment(template.createdAt)],
    ["lifetime", template.lifetime.default],
  ]);
  const parameters = Object.entries(template.parameters);
  if (parameters.length > 0) {
    heading(call, "Parameters");
    for (const line of tableLines(call, parameters, parameterColumns))
      call.terminal.out(`${line}\n`);
  }
  heading(call, "Groups");
  printGraph(call, template.graph);
  const actions = Object.entries(template.actions);
  if (actions.length === 0) return;
  heading(call, "Actions");
  printFacts(
    call,
    actions.map(([name, { description }]) => [name, description === "" ? "-" : description]),
  );
}

const parameterColumns: readonly Column<[string, TemplateView["parameters"][string]]>[] = [
  { title: "NAME", value: ([name]) => name },
  { title: "TYPE", value: ([, { type, secret }]) => (secret ? `${type}, secret` : type) },
  {
    title: "DEFAULT",
    value: ([, parameter]) =>
      parameter.required
        ? "(required)"
        : parameter.default === undefined
          ? ""
          : oneLine(parameter.default),
  },
  { title: "DESCRIPTION", value: ([, { description }]) => description },
];

export async function move(call: Call, verb: "activate" | "deprecate"): Promise<number> {
  const reference = call.args[0] ?? "";
  const api = await call.api();
  const command = await sendCommand(api, { type: `template.${verb}`, subject: reference });
  const done = await settled(api, command);
  if (printData(call, done)) return 0;
  const result = verb === "activate" ? "is active" : "is deprecated";
  call.terminal.out(
    call.format === "name" ? `${safe(reference)}\n` : `${safe(reference)} ${result}\n`,
  );
  return 0;
}
