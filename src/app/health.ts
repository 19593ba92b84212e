import { statfs } from "node:fs/promises";
import type { HealthView } from "../contract/rest.ts";
import { failureOf } from "../domain/errors.ts";
import type { Composition } from "./compose.ts";

type Dependency = HealthView["dependencies"][number];

/** Below this the server still works, but somebody should make room. */
const littleRoomBytes = 1024 ** 3;

/** Each thing the server stands on, how it is, and what to do about it. Never throws. */
export async function health(parts: Composition, ready: boolean): Promise<HealthView> {
  const dependencies = await Promise.all([
    storeHealth(parts),
    roomHealth(parts),
    terraformHealth(parts),
    isolationHealth(parts),
    ...(parts.bus.kind === "embedded" ? [] : [busHealth(parts)]),
  ]);
  const down = dependencies.some((dependency) => dependency.status === "down");
  const worse = dependencies.some((dependency) => dependency.status !== "up");
  return { status: down ? "down" : worse ? "degraded" : "ok", live: true, ready, dependencies };
}

async function storeHealth({ store }: Composition): Promise<Dependency> {
  const { status, detail, latencyMs } = await store.health();
  const advice =
    status === "up"
      ? null
      : "Look at the server's log; `glasshouse restore` puts a backup in place.";
  return { name: "store", status, detail, latencyMs, advice };
}

async function roomHealth({ data }: Composition): Promise<Dependency> {
  const { bavail, bsize } = await statfs(data);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free for data`;
  if (free > littleRoomBytes)
    return { name: "disk", status: "up", detail, latencyMs: null, advice: null };
  return {
    name: "disk",
    status: "low",
    detail,
    latencyMs: null,
    advice: "Make room: commands are refused when the disk is full.",
  };
}

/** Missing Terraform is no fault of the server: only templates that need it are affected. */
async function terraformHealth({ terraform }: Composition): Promise<Dependency> {
  try {
    const { product, version } = await terraform.program();
    return {
      name: "terraform",
      status: "up",
      detail: `${product} ${version}`,
      latencyMs: null,
      advice: null,
    };
  } catch (error) {
    const advice =
      "Put terraform or tofu on PATH, or name it with executors.terraform.program, if templates need it.";
    return {
      name: "terraform",
      status: "missing",
      detail: failureOf(error).message,
      latencyMs: null,
      advice,
    };
  }
}

/** Without it commands come by REST alone, and what happened is sent later: the server itself is not down. */
async function busHealth({ bus }: Composition): Promise<Dependency> {
  const { status, detail, latencyMs, advice } = await bus.status();
  return { name: "bus", status: status === "up" ? "up" : "unreachable", detail, latencyMs, advice };
}

async function isolationHealth({ isolation }: Composition): Promise<Dependency> {
  const strong = isolation.kind !== "none";
  const detail = strong ? `children run under ${isolation.kind}` : "children are not fenced off";
  return {
    name: "isolation",
    status: strong ? "up" : "weak",
    detail,
    latencyMs: null,
    advice: strong ? null : "Install bubblewrap, or util-linux with user namespaces.",
  };
}
