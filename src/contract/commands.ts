import { z } from "zod";
import { commandTypes } from "../domain/command.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { nearest } from "../lib/nearest.ts";
import { commandData } from "./command-data.ts";
import { issueDetails } from "./issues.ts";

export { commandData } from "./command-data.ts";

type Schemas = typeof commandData;

/** The checked data of a command of this type. */
export type DataOf<T extends keyof Schemas> = z.infer<Schemas[T]>;

/** A type with its checked data. */
export type ParsedCommand = z.infer<typeof parsedCommand>;

const parsedCommand = z.discriminatedUnion("type", [
  z.object({ type: z.literal("template.register"), data: commandData["template.register"] }),
  z.object({ type: z.literal("template.activate"), data: commandData["template.activate"] }),
  z.object({ type: z.literal("template.deprecate"), data: commandData["template.deprecate"] }),
  z.object({ type: z.literal("environment.create"), data: commandData["environment.create"] }),
  z.object({ type: z.literal("environment.update"), data: commandData["environment.update"] }),
  z.object({ type: z.literal("environment.destroy"), data: commandData["environment.destroy"] }),
  z.object({ type: z.literal("environment.rotate"), data: commandData["environment.rotate"] }),
  z.object({ type: z.literal("environment.validate"), data: commandData["environment.validate"] }),
  z.object({ type: z.literal("environment.refresh"), data: commandData["environment.refresh"] }),
  z.object({ type: z.literal("environment.action"), data: commandData["environment.action"] }),
  z.object({ type: z.literal("environment.plan"), data: commandData["environment.plan"] }),
  z.object({ type: z.literal("environment.apply"), data: commandData["environment.apply"] }),
  z.object({ type: z.literal("environment.repair"), data: commandData["environment.repair"] }),
  z.object({ type: z.literal("environment.extend"), data: commandData["environment.extend"] }),
  z.object({ type: z.literal("environment.protect"), data: commandData["environment.protect"] }),
  z.object({ type: z.literal("environment.import"), data: commandData["environment.import"] }),
  z.object({ type: z.literal("environment.forget"), data: commandData["environment.forget"] }),
  z.object({ type: z.literal("run.cancel"), data: commandData["run.cancel"] }),
  z.object({ type: z.literal("run.retry"), data: commandData["run.retry"] }),
  z.object({ type: z.literal("run.approve"), data: commandData["run.approve"] }),
]);

/** Reads the data of a command; none counts as an empty map. Errors: `invalid-request`, with pointers into the data. */
export function parseCommand(type: string, data: unknown): ParsedCommand {
  if (!commandTypes.some((known) => known === type)) {
    const near = nearest(type, commandTypes);
    const hint = near === null ? `they are ${commandTypes.join(", ")}` : `did you mean ${near}?`;
    throw new GlasshouseError("invalid-request", `There is no command type "${type}": ${hint}.`);
  }
  const parsed = parsedCommand.safeParse({ type, data: data ?? {} });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ ...issue, path: issue.path.slice(1) }));
  const details = issueDetails(issues);
  const first = details[0]?.message ?? "It does not fit its schema.";
  const more = details.length > 1 ? ` And ${details.length - 1} more mistakes.` : "";
  throw new GlasshouseError(
    "invalid-request",
    `The data of ${type} is not right: ${first}${more}`,
    {
      details,
    },
  );
}
