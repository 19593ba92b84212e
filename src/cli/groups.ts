import type { Command } from "commander";
import type { Context } from "./call.ts";

/** A command of the first level. Its file is read only when it is asked for, so that help stays fast. */
export interface CommandGroup {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  readonly load: () => Promise<{
    readonly addCommand: (program: Command, context: Context) => void;
  }>;
}

export const groups: readonly CommandGroup[] = [
  {
    name: "server",
    summary: "run the service",
    load: () => import("./server.ts"),
  },
  {
    name: "template",
    summary: "check, register and list templates",
    load: () => import("./template.ts"),
  },
  {
    name: "environment",
    alias: "env",
    summary: "create, change, check and destroy environments",
    load: () => import("./environment.ts"),
  },
  {
    name: "run",
    summary: "follow, cancel and retry runs",
    load: () => import("./run.ts"),
  },
  {
    name: "resource",
    summary: "list the resources of environments",
    load: () => import("./resource.ts"),
  },
  {
    name: "search",
    summary: "find environments, resources, what was observed, and templates",
    load: () => import("./search.ts"),
  },
  {
    name: "worker",
    summary: "list the workers and what they offer",
    load: () => import("./worker.ts"),
  },
  {
    name: "bus",
    summary: "look at the message bus, move dead letters back",
    load: () => import("./bus.ts"),
  },
  {
    name: "authority",
    summary: "fetch what is to be trusted, and what is revoked",
    load: () => import("./authority.ts"),
  },
  {
    name: "status",
    summary: "say how the server is and what it has",
    load: () => import("./status.ts"),
  },
  {
    name: "doctor",
    summary: "look at this machine and say what is missing",
    load: () => import("./doctor.ts"),
  },
  {
    name: "config",
    summary: "print the configuration and where each value comes from",
    load: () => import("./config.ts"),
  },
  {
    name: "backup",
    summary: "copy the data directory, also while the server runs",
    load: () => import("./backup.ts"),
  },
  {
    name: "restore",
    summary: "put a backup in place",
    load: () => import("./restore.ts"),
  },
  {
    name: "completion",
    summary: "print the shell's completion script",
    load: () => import("./completion.ts"),
  },
  {
    name: "version",
    summary: "print the version",
    load: () => import("./version.ts"),
  },
];
