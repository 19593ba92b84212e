import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";

/** What a client connects to, read anew each time. */
export interface SocketOptions {
  readonly host: string;
  readonly port: number;
}

/**
 * Where the next connection goes, for a client that reads host and port of these options each time it connects: to one of the hosts of
 * then, the next one each time. Replicas begin at different ones. `otherwise` while there are none.
 */
export function socketTo(
  hosts: () => readonly string[],
  otherwise: readonly string[],
): SocketOptions {
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

/**
 * The same options, and the socket that was made of them last: the client keeps it to itself, but Node tells of each socket while it is
 * made (`net.client.socket`), which is right after the options were read. `null` before the first, or if Node should not tell.
 */
export function watchedSocket(options: SocketOptions): {
  readonly options: SocketOptions;
  readonly latest: () => Socket | null;
} {
  let socket: Socket | null = null;
  const hear = (message: unknown): void => {
    unsubscribe(channelName, hear);
    const made = typeof message === "object" && message !== null && "socket" in message;
    if (made && message.socket instanceof Socket) socket = message.socket;
  };
  return {
    options: {
      get host() {
        subscribe(channelName, hear);
        // Those made later are other people's.
        queueMicrotask(() => unsubscribe(channelName, hear));
        return options.host;
      },
      get port() {
        return options.port;
      },
    },
    latest: () => socket,
  };
}

const channelName = "net.client.socket";

function splitHost(text: string): SocketOptions {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at).replace(/^\[(.*)\]$/u, "$1");
  return { host, port: Number(text.slice(at + 1)) };
}
