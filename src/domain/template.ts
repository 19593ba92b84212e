import type { Json } from "../lib/json.ts";
import type { CertificateDeclaration } from "./certificate.ts";
import type { Check } from "./check.ts";
import type { SecretDeclaration } from "./secret.ts";

/** An immutable version of the description of an environment. Only a draft's content may still be replaced. */
export interface Template {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly status: TemplateStatus;
  readonly description: string;
  readonly tags: Tags;
  readonly source: TemplateSource;
  /** SHA-256 over the sorted list of files (path, mode, digest), in hex. */
  readonly digest: string;
  readonly body: TemplateBody;
  readonly files: readonly TemplateFile[];
  readonly createdAt: string;
}

export type TemplateStatus = "draft" | "active" | "deprecated";
export type Tags = Readonly<Record<string, string>>;

/** Legal moves of a template's status. */
export const templateMoves: Readonly<Record<TemplateStatus, readonly TemplateStatus[]>> = {
  draft: ["active"],
  active: ["deprecated"],
  deprecated: ["active"],
};

export type TemplateSource =
  | { readonly kind: "upload" }
  | {
      readonly kind: "git";
      readonly repository: string;
      readonly ref: string;
      readonly commit: string;
      readonly path: string;
    };

export interface TemplateFile {
  /** Relative to the template's folder, `/` between parts, no `.` or `..`. */
  readonly path: string;
  /** Digest of the content in the blob store. */
  readonly digest: string;
  readonly mode: number;
  readonly size: number;
}

/**
 * The checked template: defaults filled in, durations in milliseconds, references resolved. Strings may still hold
 * `${{ … }}` expressions; they were type-checked at registration and are evaluated when their inputs are known.
 */
export interface TemplateBody {
  readonly formatVersion: 1;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly tags: Tags;
  readonly parameters: Readonly<Record<string, Parameter>>;
  /** Values that are made for each environment. Absent in templates of before there were any. */
  readonly secrets?: Readonly<Record<string, SecretDeclaration>>;
  /** Certificates that are issued for each environment. Absent where there are none; no name is one of a secret too. */
  readonly certificates?: Readonly<Record<string, CertificateDeclaration>>;
  readonly requires: Readonly<Record<string, Requirement>>;
  readonly groups: Readonly<Record<string, Group>>;
  readonly outputs: Readonly<Record<string, Json>>;
  readonly entrypoints: Readonly<Record<string, Entrypoint>>;
  readonly checks: Readonly<Record<string, Check>>;
  readonly actions: Readonly<Record<string, Action>>;
  readonly lifetime: Lifetime;
}

export interface Parameter {
  readonly type: "string" | "integer" | "number" | "boolean" | "list" | "map";
  readonly description: string;
  readonly default?: Json;
  readonly secret: boolean;
  readonly immutable: boolean;
  readonly enum?: readonly Json[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  /** Type of the items of a list or the values of a map; anything when absent. */
  readonly items?: "string" | "integer" | "number" | "boolean";
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Something needed and not owned: another environment, or an external resource known by its description. */
export type Requirement =
  | {
      readonly kind: "environment";
      readonly environment: string;
      readonly outputs: readonly string[];
      readonly description: string;
    }
  | { readonly kind: "external"; readonly description: string; readonly check?: Check };

export interface Group {
  readonly description: string;
  readonly tags: Tags;
  readonly executor: string;
  /** The executor's settings with expressions. */
  readonly with: Json;
  readonly dependsOn: readonly string[];
  /**
   * All groups it waits for: `dependsOn`, those whose outputs it or a certificate of it uses, and those its resources depend
   * on. Sorted.
   */
  readonly upstreams: readonly string[];
  /** Groups whose outputs its `with` uses: only a change of these makes its inputs unknown. Sorted. */
  readonly inputs: readonly string[];
  /** Declared secrets and certificates that its `with` uses; absent when it uses none. Sorted. */
  readonly secrets?: readonly string[];
  /** Its executor issues a certificate, which the environment owns under the group's name. Absent where none is. */
  readonly certified?: true;
  readonly outputs: readonly string[];
  readonly resources: Readonly<Record<string, ResourceTemplate>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly onFailure: "stop" | "abort";
  /** Labels that its worker must offer, all of them; any worker may do it when there are none. Sorted. */
  readonly runsOn?: readonly string[];
}

export interface RetryPolicy {
  readonly attempts: number;
  readonly backoffMs: number;
}

export interface ResourceTemplate {
  readonly name: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, Json>>;
  /** An integer, or an expression that gives one. */
  readonly count: Json;
  readonly links: Readonly<Record<string, Json>>;
  readonly checks: Readonly<Record<string, Check>>;
  /** `group.resource` and `requires.name`. */
  readonly dependsOn: readonly string[];
}

export interface Entrypoint {
  readonly url: Json;
  readonly description: string;
}

/** A named operation beyond create, update and destroy. `command` may hold expressions. */
export interface Action {
  readonly description: string;
  readonly app: { readonly name: string; readonly command: readonly Json[] };
  readonly timeoutMs: number;
  /** As a group's. */
  readonly runsOn?: readonly string[];
}

export interface Lifetime {
  readonly defaultMs?: number;
  readonly maximumMs?: number;
}

export const groupDefaults = {
  retry: { attempts: 3, backoffMs: 5_000 },
  timeoutMs: 3_600_000,
  commandTimeoutMs: 600_000,
  onFailure: "stop",
} as const;

/** The most groups a template may have. */
export const maximumGroups = 10_000;
