import { groupDefaults, type Group, type TemplateBody } from "../domain/template.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { OwnedSecret } from "../domain/secret.ts";

/** A group with the defaults that the template check would have filled in. */
export function sampleGroup(of: Partial<Group> = {}): Group {
  const dependsOn = of.dependsOn ?? [];
  const inputs = of.inputs ?? [];
  return {
    description: "",
    tags: {},
    executor: "command",
    with: { create: ["./make"] },
    dependsOn,
    upstreams: of.upstreams ?? [...new Set([...dependsOn, ...inputs])].sort(),
    inputs,
    outputs: [],
    resources: {},
    retry: groupDefaults.retry,
    timeoutMs: groupDefaults.commandTimeoutMs,
    onFailure: "stop",
    ...of,
  };
}

export function sampleTemplate(
  groups: Readonly<Record<string, Group>>,
  more: Partial<TemplateBody> = {},
): TemplateBody {
  return {
    formatVersion: 1,
    name: "sample",
    version: "1.0.0",
    description: "",
    tags: {},
    parameters: {},
    requires: {},
    groups,
    outputs: {},
    entrypoints: {},
    checks: {},
    actions: {},
    lifetime: {},
    ...more,
  };
}

export function sampleRecord(of: Partial<GroupRecord> & Pick<GroupRecord, "group">): GroupRecord {
  return {
    environmentId: "env_sample",
    template: "sample",
    templateId: "tpl_sample",
    executor: "command",
    behaviour: 1,
    status: "applied",
    upstreams: [],
    settings: {},
    fingerprint: null,
    outputs: {},
    memory: null,
    drift: "none",
    timeoutMs: 600_000,
    runsOn: [],
    appliedAt: "2026-01-01T00:00:00.000Z",
    ...of,
  };
}

export function sampleSecret(of: Partial<OwnedSecret> & Pick<OwnedSecret, "name">): OwnedSecret {
  return {
    environmentId: "env_sample",
    template: "sample",
    kind: "secret",
    certificate: null,
    version: 1,
    rotation: 0,
    secretId: "sec_sample",
    fingerprint: "f",
    keeper: "embedded",
    createdAt: "2026-01-01T00:00:00.000Z",
    rotatedAt: "2026-01-01T00:00:00.000Z",
    rotateAt: null,
    ...of,
  };
}
