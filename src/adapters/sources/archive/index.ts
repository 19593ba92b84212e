export { pack } from "./pack.ts";
export { unpack } from "./unpack.ts";
