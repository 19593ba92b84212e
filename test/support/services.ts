import { pack, unpack } from "../../src/adapters/sources/archive/index.ts";
import type { Command } from "../../src/domain/command.ts";
import type { Environment } from "../../src/domain/environment.ts";
import { GlasshouseError, type ErrorCode } from "../../src/domain/errors.ts";
import type { Run } from "../../src/domain/run.ts";
import type { SourceFile } from "../../src/ports/source.ts";
import { accept } from "../../src/services/command.ts";
import { serviceLimits, type ServiceLimits, type Services } from "../../src/services/deps.ts";
import type { CommandRequest } from "../../src/services/effect.ts";
import { QueueRoom } from "../../src/services/queue-room.ts";
import { Starts } from "../../src/services/starts.ts";
import { TemplateChoices } from "../../src/services/template-choices.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { createWorld, type World, type WorldOptions } from "./world.ts";

/** Services on a real store, with the engine stopped unless a test starts it. */
export interface ServiceWorld extends World {
  readonly services: Services;
  /** Moves the services' wall clock on. */
  later(ms: number): void;
  /** Sends a command under a new id, or under that of `more`. */
  send(
    type: string,
    subject: string | null,
    data?: unknown,
    more?: Partial<CommandRequest>,
  ): Promise<Command>;
  /** The code and message of its refusal. Fails when it is accepted. */
  refused(
    type: string,
    subject: string | null,
    data?: unknown,
    more?: Partial<CommandRequest>,
  ): Promise<{
    readonly code: ErrorCode;
    readonly message: string;
    readonly error: GlasshouseError;
  }>;
  /** Registers a template from the text of its file. */
  register(yaml: string, data?: object, files?: Readonly<Record<string, string>>): Promise<Command>;
  named(name: string): Promise<Environment>;
  run(id: string | null): Promise<Run>;
  queueOf(name: string): Promise<readonly Run[]>;
}

export async function createServiceWorld(
  options: Partial<WorldOptions> & { readonly limits?: Partial<ServiceLimits> } = {},
): Promise<ServiceWorld> {
  const executors = options.executors ?? [fakeExecutor()];
  const world = await createWorld({ start: false, ...options, executors });
  const { deps } = world;
  const time = { offsetMs: 0 };
  const services: Services = {
    store: deps.store,
    clock: {
      now: () => deps.clock.now() + time.offsetMs,
      monotonic: () => deps.clock.monotonic(),
      id: (kind) => deps.clock.id(kind),
      after: (delayMs, fn) => deps.clock.after(delayMs, fn),
    },
    sealer: deps.sealer,
    blobs: deps.blobs,
    git: {
      fetch: async () => {
        throw new GlasshouseError("unavailable", "There is no git here.");
      },
    },
    archive: { unpack },
    executors,
    log: deps.log,
    limits: { ...serviceLimits, ...options.limits },
    room: new QueueRoom(deps.clock),
    choices: new TemplateChoices(),
    starts: new Starts(deps.store),
  };
  services.starts.use(world.engine.starter);
  return {
    ...world,
    services,
    later: (ms) => {
      time.offsetMs += ms;
    },
    ...verbs(world, services),
  };
}

function verbs(
  world: World,
  services: Services,
): Pick<ServiceWorld, "send" | "refused" | "register" | "named" | "run" | "queueOf"> {
  let sent = 0;
  const request = (of: Partial<CommandRequest>): CommandRequest => {
    sent += 1;
    return {
      source: "test",
      id: `c${sent}`,
      type: "",
      subject: null,
      data: {},
      actor: "tester",
      ...of,
    };
  };
  // eslint-disable-next-line max-params
  const send: ServiceWorld["send"] = async (type, subject, data = {}, more = {}) =>
    accept(services, request({ type, subject, data, ...more }));
  const named = async (name: string): Promise<Environment> => {
    const found = await world.store.read((tx) => tx.environments.find(name));
    if (found === null) throw new Error(`no environment ${name}`);
    return found;
  };
  return {
    send,
    refused: async (...of) => refusal(send(...of)),
    register: async (yaml, data = {}, files = {}) =>
      send("template.register", null, data, {
        archive: await packed({ ...files, "template.yaml": yaml }),
      }),
    named,
    run: async (id) => {
      const found = id === null ? null : await world.store.read((tx) => tx.runs.get(id));
      if (found === null) throw new Error(`no run ${String(id)}`);
      return found;
    },
    queueOf: async (name) => {
      const { id } = await named(name);
      return world.store.read((tx) => tx.runs.queue(id));
    },
  };
}

async function refusal(sending: Promise<Command>): ReturnType<ServiceWorld["refused"]> {
  let command: Command;
  try {
    command = await sending;
  } catch (error) {
    if (error instanceof GlasshouseError)
      return { code: error.code, message: error.message, error };
    throw error;
  }
  throw new Error(`${command.type} was taken as ${command.status}`);
}

async function packed(files: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const list = Object.entries(files).map(([path, text]): SourceFile => ({
    path,
    mode: 0o644,
    bytes: new TextEncoder().encode(text),
  }));
  return pack(list);
}

/** A small template: one group, one secret, an immutable parameter and one with bounds. */
export function shopYaml(version = "1.0.0", more = ""): string {
  return `apiVersion: glasshouse/v1
kind: Template
name: shop
version: ${version}
parameters:
  size: { type: integer, minimum: 1, maximum: 9, default: 3 }
  region: { type: string, enum: [west, north], default: west, immutable: true }
  token: { type: string, secret: true, minLength: 4 }
groups:
  web:
    executor: command
    with: { create: [up, "\${{ parameters.size }}"], inputs: { token: "\${{ parameters.token }}" } }
    outputs: [address]
outputs: { address: "\${{ groups.web.outputs.address }}" }
actions:
  restart: { app: { name: restart, command: [restart] } }
${more}`;
}

/** A template whose environments require the one that its parameter names. */
export function chainYaml(): string {
  return `apiVersion: glasshouse/v1
kind: Template
name: chain
version: 1.0.0
parameters:
  base: { type: string, default: none }
requires:
  base: { environment: "\${{ parameters.base }}", outputs: [id] }
groups:
  link: { executor: command, with: { create: [link] }, outputs: [id] }
outputs: { id: "\${{ groups.link.outputs.id }}" }
`;
}

/** A template that requires nothing. */
export function plainYaml(version = "1.0.0"): string {
  return `apiVersion: glasshouse/v1
kind: Template
name: plain
version: ${version}
parameters:
  size: { type: integer, default: 1 }
groups:
  one: { executor: command, with: { create: [one, "\${{ parameters.size }}"] }, outputs: [id] }
outputs: { id: "\${{ groups.one.outputs.id }}" }
`;
}
