import type { Json } from "../lib/json.ts";
import type { Tags } from "./template.ts";

/** A thing in an environment, as its template declares it. */
export interface Resource {
  readonly id: string;
  readonly environmentId: string;
  readonly templateId: string;
  readonly template: string;
  readonly group: string;
  /** Its key within the group. */
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly tags: Tags;
  readonly count: number;
  readonly status: ResourceStatus;
  readonly links: Readonly<Record<string, string>>;
  /** Keys of its checks: the status endpoints. */
  readonly checks: readonly string[];
  /** Other resources, as `group.resource`. */
  readonly dependsOn: readonly string[];
  /** External resources, by their name under `requires`. */
  readonly external: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

export type ResourceStatus = "pending" | "present" | "failed" | "drifted" | "removed";

/** What an executor found in the real world. */
export interface ObservedResource {
  /** Unique within its group: a Terraform address, a key, a path. */
  readonly address: string;
  readonly type: string;
  /** The provider's own id, or null. */
  readonly externalId: string | null;
  /** Never a secret value. */
  readonly attributes: Readonly<Record<string, Json>>;
}

/** One difference, the same form for plans, applies and drift of every executor. Values are masked. */
export interface Change {
  readonly address: string;
  readonly action: "create" | "update" | "replace" | "destroy" | "none";
  readonly before?: Json;
  readonly after?: Json;
}
