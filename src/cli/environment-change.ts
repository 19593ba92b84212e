import type { Command } from "commander";
import { routeOf, type EnvironmentView } from "../contract/rest.ts";
import type { Json } from "../lib/json.ts";
import type { Api } from "./api.ts";
import { leaf, listOption, option, type Call, type Context, type Leaf } from "./call.ts";
import { printEnvironment } from "./environment-print.ts";
import { ServerError, UsageError } from "./failure.ts";
import { readParameters, readTags, type KnownParameters } from "./parameters.ts";
import { finishCommand, parameterOptions, sendCommand, waitOptions } from "./wait-options.ts";

const shared = [
  listOption("--tag <name=value>", "a tag"),
  option("--description <text>", "what it is for"),
  option("--ttl <duration>", "it is destroyed after this time, such as 48h"),
] as const;

export function addChanges(at: { readonly parent: Command; readonly context: Context }): void {
  leaf(at, createLeaf, create);
  leaf(at, updateLeaf, update);
  leaf(at, destroyLeaf, destroy);
  leaf(at, actionLeaf, action);
  leaf(at, applyLeaf, apply);
}

const createLeaf: Leaf = {
  usage: "create <name>",
  summary: "create an environment from a template",
  examples: [
    "env create test --template hello",
    "env create shop --template web-shop@1.0.0 --param title=Plants --ttl 48h --tag team=a",
    "env create shop --template web-shop --param token=env:TOKEN --no-wait",
    "env create shop --template web-shop --params-file - < parameters.yaml",
  ],
  options: [
    listOption("--template <name[@version]>", "what to make it from"),
    ...parameterOptions,
    ...shared,
    ...waitOptions,
  ],
};

const updateLeaf: Leaf = {
  usage: "update <name>",
  summary: "change parameters, template version, tags or lifetime",
  description:
    "Change parameters, template version, tags or lifetime. Only what the change touches runs again; without any change it brings the environment back to what it should be.",
  examples: [
    "env update shop --param title=Trees",
    "env update shop --template web-shop@1.1.0",
    "env update shop --reset title",
  ],
  options: [
    listOption("--template <name[@version]>", "the version to go to"),
    ...parameterOptions,
    listOption("--reset <name>", "a parameter that returns to its default"),
    ...shared,
    ...waitOptions,
  ],
};

const destroyLeaf: Leaf = {
  usage: "destroy <name>",
  summary: "destroy an environment",
  description: "Destroy an environment. It asks on a terminal and needs --yes elsewhere.",
  examples: [
    "env destroy test",
    "env destroy shop --yes --timeout 10m",
    "env destroy base --cascade",
  ],
  options: [
    option("-y, --yes", "do not ask"),
    option("--cascade", "destroy the environments that require it first"),
    option("--now", "cancel what is running instead of waiting for it"),
    ...waitOptions,
  ],
};

const actionLeaf: Leaf = {
  usage: "action <name> <action>",
  summary: "run a named action of the template",
  examples: ["env action shop restart"],
  options: waitOptions,
};

const applyLeaf: Leaf = {
  usage: "apply <plan>",
  summary: "do exactly what a saved plan says",
  examples: ["env plan shop --param title=Trees", "env apply pln_01…"],
  options: [
    option("--deferred <ask|safe|any>", "what to do where a part could not be planned before"),
    ...waitOptions,
  ],
};

async function create(call: Call): Promise<number> {
  const [name = ""] = call.args;
  const templates = call.options.list("template");
  const template = templates[0];
  if (template === undefined)
    throw new UsageError(
      "It needs --template <name>; `glasshouse template list` shows what there is.",
    );
  const api = await call.api();
  const parameters = await readParameters(call, await parametersOf(api, template));
  const command = await api.ask(routeOf("createEnvironment"), {
    body: {
      name,
      ...templateMembers(templates),
      ...nonEmpty("parameters", parameters),
      ...sharedMembers(call),
    },
  });
  const title = `create ${name}`;
  return finishCommand(call, api, {
    command,
    title,
    name,
    done: () => printByName(call, api, name),
  });
}

async function update(call: Call): Promise<number> {
  const [name = ""] = call.args;
  const api = await call.api();
  const templates = call.options.list("template");
  const known = async (): Promise<KnownParameters> =>
    parametersOf(api, templates[0] ?? templateOf(await getEnvironment(api, name)));
  const parameters = await readParameters(
    call,
    call.options.list("param").length === 0 ? {} : await known(),
  );
  const reset = call.options.list("reset");
  const command = await api.ask(routeOf("updateEnvironment"), {
    params: { environment: name },
    body: {
      ...templateMembers(templates),
      ...nonEmpty("parameters", parameters),
      ...(reset.length === 0 ? {} : { reset }),
      ...sharedMembers(call),
    },
  });
  const title = `update ${name}`;
  return finishCommand(call, api, {
    command,
    title,
    name,
    done: () => printByName(call, api, name),
  });
}

async function destroy(call: Call): Promise<number> {
  const [name = ""] = call.args;
  const api = await call.api();
  const environment = await getEnvironment(api, name);
  if (!(await isSure(call, environment))) {
    call.terminal.err("Nothing was destroyed.\n");
    return 1;
  }
  const command = await api.ask(routeOf("destroyEnvironment"), {
    params: { environment: environment.id },
    query: {
      cascade: call.options.flag("cascade") ? true : undefined,
      now: call.options.flag("now") ? true : undefined,
    },
  });
  return finishCommand(call, api, {
    command,
    title: `destroy ${name}`,
    name,
    done: () => printByName(call, api, environment.id),
  });
}

async function isSure(call: Call, environment: EnvironmentView): Promise<boolean> {
  if (call.options.flag("yes")) return true;
  if (!call.terminal.inIsTerminal || !call.terminal.errIsTerminal)
    throw new UsageError(
      `Destroying ${environment.name} needs --yes where nobody can be asked (this is no terminal).`,
    );
  const answer = await call.terminal.ask(
    `Destroy the environment ${environment.name} (${environment.status}, ${templateOf(environment)})? [y/N] `,
  );
  return /^y(?:es)?$/iu.test(answer?.trim() ?? "");
}

async function action(call: Call): Promise<number> {
  const [name = "", wanted = ""] = call.args;
  const api = await call.api();
  const command = await api.ask(routeOf("runEnvironmentAction"), {
    params: { environment: name, action: wanted },
  });
  const title = `${wanted} ${name}`;
  return finishCommand(call, api, {
    command,
    title,
    name,
    done: () => printByName(call, api, name),
  });
}

async function apply(call: Call): Promise<number> {
  const [id = ""] = call.args;
  const api = await call.api();
  const plan = await api.get(routeOf("getPlan"), { params: { plan: id } });
  const deferred = call.options.text("deferred");
  const command = await sendCommand(api, {
    type: "environment.apply",
    subject: plan.environment,
    data: { plan: plan.id, ...(deferred === undefined ? {} : { deferred }) },
  });
  const name = plan.environmentName;
  return finishCommand(call, api, {
    command,
    title: `apply ${name}`,
    name,
    done: () => printByName(call, api, name),
  });
}

function templateMembers(templates: readonly string[]): Record<string, Json> {
  if (templates.length === 0) return {};
  return templates.length === 1 ? { template: templates[0] ?? "" } : { templates };
}

function sharedMembers({ options }: Call): Record<string, Json> {
  const description = options.text("description");
  const ttl = options.text("ttl");
  return {
    ...nonEmpty("tags", readTags(options.list("tag"))),
    ...(description === undefined ? {} : { description }),
    ...(ttl === undefined ? {} : { ttl }),
  };
}

function nonEmpty(name: string, value: Record<string, Json>): Record<string, Json> {
  return Object.keys(value).length === 0 ? {} : { [name]: value };
}

export async function getEnvironment(api: Api, environment: string): Promise<EnvironmentView> {
  return api.get(routeOf("getEnvironment"), { params: { environment } });
}

async function printByName(call: Call, api: Api, name: string): Promise<void> {
  printEnvironment(call, await getEnvironment(api, name));
}

export function templateOf({ templates }: EnvironmentView): string {
  return templates.map((template) => `${template.name}@${template.version}`).join(", ");
}

/** Parameters that a template declares. A template that is not there is left for the server to refuse. */
export async function parametersOf(api: Api, reference: string): Promise<KnownParameters> {
  const at = reference.indexOf("@");
  const template = at === -1 ? reference : reference.slice(0, at);
  const version = at === -1 ? "latest" : reference.slice(at + 1);
  try {
    return (await api.get(routeOf("getTemplate"), { params: { template, version } })).parameters;
  } catch (error) {
    if (error instanceof ServerError && error.status === 404) return {};
    throw error;
  }
}
