import { z } from "zod";
import {
  description,
  duration,
  expression,
  key,
  keyed,
  runsOn,
  scalar,
  tagName,
  tags,
  text,
} from "./template-parts.ts";

const command = z
  .array(scalar, {
    error: 'must be a list: the program, then its arguments, as in ["./check", "--fast"]',
  })
  .min(1, { error: "must name a program" });

const countText = "must be a whole number of at least 0, or an expression that gives one";

const statusCode = z
  .int({ error: "must be an HTTP status such as 200" })
  .min(100, { error: "must be an HTTP status such as 200" })
  .max(599, { error: "must be an HTTP status such as 200" });

export const checkSchema = z
  .strictObject(
    {
      description: description.optional(),
      http: text.optional().meta({ description: "URL that must answer" }),
      expect: z
        .union([statusCode, z.array(statusCode).min(1, { error: "must name a status" })], {
          error: "must be an HTTP status such as 200, or a list of them",
        })
        .optional()
        .meta({ description: "Status or statuses of the answer; 200 when left out" }),
      tcp: text.optional().meta({ description: "host:port that must take a connection" }),
      command: command.optional().meta({ description: "Program that must end with 0" }),
      consul: z
        .strictObject(
          {
            service: text.optional().meta({ description: "Name of the service" }),
            node: text
              .optional()
              .meta({ description: "Name of a node, all checks of which must pass" }),
            datacenter: text.optional().meta({
              description: "Consul datacenter; that of the configuration when left out",
            }),
            tag: text
              .optional()
              .meta({ description: "Only instances of the service that have this tag" }),
          },
          { error: "must be a map with a service or a node" },
        )
        .optional()
        .meta({
          description:
            "Service that Consul must know an instance of that passes its checks, or a node that passes its own",
        }),
      interval: duration
        .optional()
        .meta({ description: "Time between two looks; 30s when left out" }),
      timeout: duration
        .optional()
        .meta({ description: "Longest time of one look; 5s when left out" }),
      failures: z
        .int({ error: "must be a whole number of at least 1" })
        .min(1, { error: "must be at least 1" })
        .max(100, { error: "must be at most 100" })
        .optional()
        .meta({
          description:
            "So many failures in a row make it unhealthy; 3 when left out. Consul counts by itself",
        }),
      within: duration
        .optional()
        .meta({ description: "The validating phase waits so long for it; 5m when left out" }),
      runsOn: runsOn(
        "Labels that the worker that looks must offer; when left out, a resource's check looks from where its group is made, others from anywhere",
      ),
    },
    { error: "must be a map with http, tcp, command or consul" },
  )
  .meta({
    description: "How to see whether it works: exactly one of http, tcp, command and consul",
  });

export const resourceSchema = z
  .strictObject(
    {
      name: text
        .max(200, { error: "must have at most 200 characters" })
        .optional()
        .meta({ description: "Its name, for people; the key when left out" }),
      description: description.optional(),
      tags: z
        .record(tagName(), scalar, { error: "must be a map of names to values" })
        .optional()
        .meta({ description: "Names and values; values may hold expressions" }),
      count: z
        .union([z.int({ error: countText }).min(0, { error: countText }), expression(countText)], {
          error: countText,
        })
        .optional()
        .meta({ description: "How many of it; 1 when left out" }),
      links: z
        .record(tagName(), text, { error: "must be a map of names to URLs" })
        .optional()
        .meta({ description: "Where to read on: documents, dashboards" }),
      checks: keyed(checkSchema, "must be a map of names to checks").optional(),
      dependsOn: z
        .array(text, { error: "must be a list" })
        .optional()
        .meta({ description: "Other resources as group.resource, external ones as requires.name" }),
    },
    { error: "must be a map; write {} when there is nothing to say" },
  )
  .meta({ description: "A thing the group makes, for people and for the dependency graph" });

const retry = z.strictObject(
  {
    attempts: z
      .int({ error: "must be a whole number from 1 to 20" })
      .min(1, { error: "must be at least 1" })
      .max(20, { error: "must be at most 20" })
      .optional()
      .meta({ description: "How often a transient failure is tried in all; 3 when left out" }),
    backoff: duration
      .optional()
      .meta({ description: "Pause before the second attempt, longer with each; 5s when left out" }),
  },
  { error: "must be a map with attempts and backoff" },
);

export const groupSchema = z
  .strictObject(
    {
      description: description.optional(),
      tags: tags.optional(),
      executor: z
        .string({ error: "must name an executor, such as terraform or command" })
        .meta({ description: "What makes it" }),
      with: z
        .record(z.string(), z.unknown(), { error: "must be a map of the executor's settings" })
        .optional()
        .meta({ description: "Settings of the executor" }),
      dependsOn: z
        .array(text, { error: "must be a list of groups" })
        .optional()
        .meta({ description: "Groups it waits for, beyond those whose outputs it uses" }),
      outputs: z.array(key, { error: "must be a list of names" }).optional().meta({
        description:
          "What expressions may use of it; a declared output that is not delivered fails the step",
      }),
      resources: keyed(resourceSchema, "must be a map of resources").optional(),
      retry: retry.optional(),
      timeout: duration
        .optional()
        .meta({ description: "Longest time of one attempt; 60m when left out, 10m for commands" }),
      onFailure: z
        .enum(["stop", "abort"], {
          error: "must be stop (what depends on it stops) or abort (everything does)",
        })
        .optional()
        .meta({
          description: "stop: what depends on it stops, the rest ends; abort: everything stops",
        }),
      runsOn: runsOn(
        "Labels that the worker that makes it must offer, all of them; any worker when left out",
      ),
    },
    { error: "must be a map with an executor" },
  )
  .meta({ description: "A resource group: a node of the dependency graph" });

export const actionSchema = z
  .strictObject(
    {
      description: description.optional(),
      app: z
        .strictObject(
          {
            name: z.string({ error: "must be text" }).min(1, { error: "must not be empty" }),
            command,
            url: z
              .string({ error: "must be text" })
              .optional()
              .meta({ description: "Not available in this version" }),
          },
          { error: "must be a map with name and command" },
        )
        .meta({ description: "The program: a file of the template or a program of the machine" }),
      timeout: duration.optional().meta({ description: "Longest time of it; 10m when left out" }),
      runsOn: runsOn("Labels that its worker must offer, all of them; any worker when left out"),
      permissions: z
        .array(z.string())
        .optional()
        .meta({ description: "Not available in this version" }),
    },
    { error: "must be a map with an app" },
  )
  .meta({ description: "A named operation beyond create, update and destroy" });
