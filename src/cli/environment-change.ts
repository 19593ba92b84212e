import { routeOf, type EnvironmentView } from "../contract/rest.ts";
import type { Json } from "../lib/json.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { printEnvironment } from "./environment-print.ts";
import { ServerError, UsageError } from "./failure.ts";
import { readParameters, readTags, type KnownParameters } from "./parameters.ts";
import { finishCommand, sendCommand } from "./finish-command.ts";

export async function create(call: Call): Promise<number> {
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

export async function update(call: Call): Promise<number> {
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

export async function destroy(call: Call): Promise<number> {
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

export async function action(call: Call): Promise<number> {
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

export async function rotate(call: Call): Promise<number> {
  const [name = "", ...secrets] = call.args;
  const api = await call.api();
  const command = await api.ask(routeOf("rotateEnvironment"), {
    params: { environment: name },
    body: secrets.length === 0 ? {} : { secrets },
  });
  return finishCommand(call, api, {
    command,
    title: `rotate ${name}`,
    name,
    done: () => printByName(call, api, name),
  });
}

export async function apply(call: Call): Promise<number> {
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
