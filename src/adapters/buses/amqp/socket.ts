/**
 * Where the next connection goes, for a client that reads host and port of these options each time it connects: to one of the hosts of
 * then, the next one each time. Replicas begin at different ones. `otherwise` while there are none.
 */
export function socketTo(
  hosts: () => readonly string[],
  otherwise: readonly string[],
): { readonly host: string; readonly port: number } {
  let turn = Math.floor(Math.random() * 1_024);
  let current = splitHost(otherwise[0] ?? "");
  return {
    get host() {
      const now = hosts();
      const all = now.length > 0 ? now : otherwise;
      turn += 1;
      current = splitHost(all[turn % Math.max(1, all.length)] ?? "");
      return current.host;
    },
    /** Read after the host, as it stands after it. */
    get port() {
      return current.port;
    },
  };
}

function splitHost(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at).replace(/^\[(.*)\]$/u, "$1");
  return { host, port: Number(text.slice(at + 1)) };
}
