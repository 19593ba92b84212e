import { z } from "zod";
import type { HttpAnswer } from "../http/connection.ts";
import type { ConsulClient } from "./client.ts";
import type { Indexed, WaitFor } from "./watch.ts";

/** One registration of a service, with the checks of it and of its node that do not pass. */
export interface ServiceInstance {
  readonly id: string;
  readonly node: string;
  readonly address: string;
  /** 0 when it has none. */
  readonly port: number;
  /** Names of checks with what they said last. Empty: it is healthy. */
  readonly failing: readonly { readonly name: string; readonly output: string }[];
}

export interface ServiceQuery {
  readonly service: string;
  /** That of the client when null. */
  readonly datacenter: string | null;
  /** Only instances with this tag. */
  readonly tag: string | null;
  readonly signal?: AbortSignal;
  /** Answers only when something has changed; at once when null or left out. */
  readonly wait?: WaitFor | null;
}

export interface NodeQuery extends Pick<ServiceQuery, "datacenter" | "signal" | "wait"> {
  readonly node: string;
}

/** What was read, as far as the token may see it. */
export interface Seen<T> extends Indexed<T> {
  /** The token hides some of it: what is not there may be there all the same. */
  readonly isFiltered: boolean;
}

export interface NodeCheck {
  readonly name: string;
  readonly isPassing: boolean;
  readonly output: string;
}

const checkSchema = z.object({
  Name: z.string(),
  Status: z.string(),
  Output: z.string(),
  ServiceID: z.string().default(""),
});
const checksSchema = z.array(checkSchema);
const instancesSchema = z.array(
  z.object({
    Node: z.object({ Node: z.string(), Address: z.string() }),
    // A service need have neither an address of its own nor a port.
    Service: z.object({
      ID: z.string(),
      Address: z.string().default(""),
      Port: z.number().default(0),
    }),
    Checks: z.array(checkSchema),
  }),
);

/** Every instance of a service that the token may see; none when there is no such service. Errors: those of the client. */
export async function serviceHealth(
  client: ConsulClient,
  { service, datacenter, tag, signal, wait = null }: ServiceQuery,
): Promise<Seen<readonly ServiceInstance[]>> {
  const answer = await look(client, `/health/service/${encodeURIComponent(service)}`, {
    query: { dc: datacenter, tag },
    wait,
    signal,
  });
  const found = instancesSchema.parse(JSON.parse(answer.body.toString("utf8")));
  const value = found.map(({ Node, Service, Checks }) => ({
    id: Service.ID,
    node: Node.Node,
    // A service without an address of its own is at its node's.
    address: Service.Address === "" ? Node.Address : Service.Address,
    port: Service.Port,
    failing: Checks.filter(({ Status }) => Status !== "passing").map(({ Name, Output }) => ({
      name: Name,
      output: Output,
    })),
  }));
  return { value, ...stampOf(answer) };
}

/** The checks of a node itself, without those of services on it; none when it is not known. Errors: those of the client. */
export async function nodeHealth(
  client: ConsulClient,
  { node, datacenter, signal, wait = null }: NodeQuery,
): Promise<Seen<readonly NodeCheck[]>> {
  const answer = await look(client, `/health/node/${encodeURIComponent(node)}`, {
    query: { dc: datacenter },
    wait,
    signal,
  });
  const found = checksSchema.parse(JSON.parse(answer.body.toString("utf8")));
  const value = found.flatMap(({ Name, Status, Output, ServiceID }) =>
    ServiceID === "" ? [{ name: Name, isPassing: Status === "passing", output: Output }] : [],
  );
  return { value, ...stampOf(answer) };
}

function look(
  client: ConsulClient,
  path: string,
  of: {
    readonly query: Readonly<Record<string, string | null>>;
    readonly wait: WaitFor | null;
    readonly signal: AbortSignal | undefined;
  },
): Promise<HttpAnswer> {
  const { query, wait, signal } = of;
  const waiting = wait === null ? {} : { index: wait.index, wait: `${wait.waitMs}ms` };
  return client.call({
    method: "GET",
    path,
    query: { ...query, ...waiting },
    // What waits is asked again by who watches.
    repeatable: wait === null,
    watches: wait !== null,
    signal,
  });
}

function stampOf({ headers }: HttpAnswer): Pick<Seen<unknown>, "index" | "isFiltered"> {
  return {
    index: Number(headers["x-consul-index"] ?? 0),
    isFiltered: headers["x-consul-results-filtered-by-acls"] === "true",
  };
}
