import type { Command } from "commander";
import { leaf, listOption, option, type Context, type Leaf } from "./call.ts";
import { limitOption, parameterOptions, queryOption, waitOptions } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("environment")
    .alias("env")
    .summary("create, change, check and destroy environments")
    .description("Create, change, check and destroy environments.");
  const at = { parent, context };
  leaf(at, createLeaf, async (call) => (await import("./environment-change.ts")).create(call));
  leaf(at, listLeaf, async (call) => (await import("./environment-read.ts")).list(call));
  leaf(at, showLeaf, async (call) => (await import("./environment-read.ts")).show(call));
  leaf(at, graphLeaf, async (call) => (await import("./environment-read.ts")).graph(call));
  leaf(at, updateLeaf, async (call) => (await import("./environment-change.ts")).update(call));
  leaf(at, planLeaf, async (call) => (await import("./environment-look.ts")).plan(call));
  leaf(at, applyLeaf, async (call) => (await import("./environment-change.ts")).apply(call));
  leaf(at, actionLeaf, async (call) => (await import("./environment-change.ts")).action(call));
  leaf(at, rotateLeaf, async (call) => (await import("./environment-change.ts")).rotate(call));
  leaf(at, driftLeaf, async (call) => (await import("./environment-look.ts")).drift(call));
  leaf(at, refreshLeaf, async (call) => (await import("./environment-look.ts")).refresh(call));
  leaf(at, validateLeaf, async (call) => (await import("./environment-look.ts")).validate(call));
  leaf(at, eventsLeaf, async (call) => (await import("./environment-read.ts")).events(call));
  leaf(at, destroyLeaf, async (call) => (await import("./environment-change.ts")).destroy(call));
}

const shared = [
  listOption("--tag <name=value>", "a tag"),
  option("--description <text>", "what it is for"),
  option("--ttl <duration>", "it is destroyed after this time, such as 48h"),
] as const;

const timeout = option("--timeout <duration>", "how long to wait, such as 5m");

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

const listLeaf: Leaf = {
  usage: "list",
  summary: "list environments, newest first",
  examples: [
    "env list",
    "env list -o wide",
    "env list --status deployed-failed -o name",
    "env list -q 'shop-* tag:team=core'",
  ],
  options: [
    option("--all", "destroyed ones too"),
    option("--status <status>", "only those with this status"),
    queryOption,
    limitOption,
  ],
};

const showLeaf: Leaf = {
  usage: "show <name>",
  summary: "show an environment",
  examples: ["env show shop", "env show shop -o json"],
};

const graphLeaf: Leaf = {
  usage: "graph <name>",
  summary: "draw its dependency graph in layers",
  examples: ["env graph shop", "env graph shop -o json"],
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

const planLeaf: Leaf = {
  usage: "plan <name>",
  summary: "say what a create or an update would do, and keep the plan",
  description:
    "Say what an update would do, or, with --template, what making an environment that does not exist yet would do, and keep the plan: `env apply` does exactly that. Exit code 6 when there are changes.",
  examples: [
    "env plan new-shop --template web-shop --param title=Plants # before `env create`",
    "env plan shop --param title=Trees",
    "env plan shop --template web-shop@1.1.0 -o json",
  ],
  options: [
    listOption(
      "--template <name[@version]>",
      "the version to plan for; needed where the environment does not exist yet",
    ),
    ...parameterOptions,
    listOption("--reset <name>", "a parameter that returns to its default"),
    timeout,
  ],
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

const actionLeaf: Leaf = {
  usage: "action <name> <action>",
  summary: "run a named action of the template",
  examples: ["env action shop restart"],
  options: waitOptions,
};

const rotateLeaf: Leaf = {
  usage: "rotate <name> [secret...]",
  summary: "make new versions of its secrets and certificates",
  description:
    "Make new versions of the secrets and certificates that its template declares, and of the certificates of its groups, of all when none is named, and apply again what uses them.",
  examples: ["env rotate shop db_password", "env rotate shop"],
  options: waitOptions,
};

const driftLeaf: Leaf = {
  usage: "drift <name>",
  summary: "look whether the real world is still as it was made",
  description:
    "Look whether the real world is still as it was made. Exit code 6 when it is not. Nothing is changed.",
  examples: ["env drift shop", "env drift shop -o json"],
  options: [timeout],
};

const refreshLeaf: Leaf = {
  usage: "refresh <name>",
  summary: "look at the real world, without printing what was found",
  examples: ["env refresh shop"],
  options: [timeout],
  plain: true,
};

const validateLeaf: Leaf = {
  usage: "validate <name>",
  summary: "run the environment's checks again",
  examples: ["env validate shop"],
  options: waitOptions,
};

const eventsLeaf: Leaf = {
  usage: "events <name>",
  summary: "list what happened to it, also live",
  examples: ["env events shop", "env events shop --follow"],
  options: [option("-f, --follow", "stay and print what comes"), limitOption],
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
