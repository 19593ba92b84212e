import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { fairWeather, Pipe, type Direction, type Look, type Weather } from "./proxy-pipe.ts";

/** Cuts connections at a place in what they carry. */
export interface Trap {
  readonly direction: Direction;
  /** Bytes that spring it, whatever their case, also when they are split over chunks. */
  readonly pattern: string;
  /**
   * `before`: what contains the pattern does not arrive. `after`: it arrives, and then the connection is cut. `answer`: it
   * arrives, the other end acts on it, and its answer is lost with the connection.
   */
  readonly moment: "before" | "after" | "answer";
  /** With `answer`: what the answer contains, as others may be on their way before it. The first bytes unless given. */
  readonly answer?: string;
  /** So many matches pass before it springs. */
  readonly skip?: number;
  /** Cuts every connection (a failover), or only the one in which it sprang. */
  readonly cuts?: "one" | "all";
}

/** Makes a look for one direction of one new connection. */
export type Lens = () => Look;

interface SetTrap {
  readonly trap: Trap;
  readonly sprung: () => void;
  skip: number;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly pipes: readonly Pipe[];
}

/**
 * A TCP proxy on loopback that stands before a real server and makes the network bad: delays, cuts, loses, holds. Everything
 * can be changed while connections are open. It knows no protocol.
 */
export class TcpProxy {
  readonly port: number;
  readonly #listener: Server;
  readonly #connections = new Set<Connection>();
  readonly #weather: Record<Direction, Weather> = { toServer: fairWeather, toClient: fairWeather };
  readonly #lenses: Record<Direction, Lens | null> = { toServer: null, toClient: null };
  readonly #traps = new Set<SetTrap>();
  #targetPort: number;
  #refuses = false;
  #accepted = 0;

  private constructor(listener: Server, port: number, targetPort: number) {
    this.#listener = listener;
    this.port = port;
    this.#targetPort = targetPort;
    listener.on("connection", (client) => this.#accept(client));
  }

  /** Listens on a free port of 127.0.0.1 and passes on to `targetPort` of 127.0.0.1. */
  static async open(targetPort: number): Promise<TcpProxy> {
    const listener = createServer({ allowHalfOpen: true });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    return new TcpProxy(listener, portOf(listener.address()), targetPort);
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#connections.size;
  }

  /** Connections that were ever taken. */
  get accepted(): number {
    return this.#accepted;
  }

  /** New connections go to another port of 127.0.0.1 (a promoted standby); open ones stay where they are. */
  retarget(port: number): void {
    this.#targetPort = port;
  }

  /** Changes how bytes fare, in one direction or both. What is left out stays. */
  change(weather: Partial<Weather>, direction?: Direction): void {
    for (const each of direction === undefined ? (["toServer", "toClient"] as const) : [direction])
      this.#weather[each] = { ...this.#weather[each], ...weather };
    for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.go();
  }

  /** Everything as without a proxy again: weather, lenses, refusals, traps. */
  clear(): void {
    this.#refuses = false;
    this.#traps.clear();
    this.#lenses.toServer = null;
    this.#lenses.toClient = null;
    this.change(fairWeather);
  }

  /** Nothing arrives either way and no connection is ended, until `clear`: a cable that was pulled. */
  blackHole(): void {
    this.change({ held: true });
  }

  /** Ends every connection with a reset. New ones are taken, unless `refuse` was called. */
  cut(): void {
    for (const connection of this.#connections) cutOff(connection);
  }

  /** Resets new connections from now on, until `clear`. */
  refuse(): void {
    this.#refuses = true;
  }

  /** Every new connection is looked at, and changed, by a look of its own. Open ones stay as they are. */
  see(direction: Direction, lens: Lens): void {
    this.#lenses[direction] = lens;
  }

  /** Cuts a connection, in the direction, after so many bytes of it have passed from now on. */
  cutAfter(direction: Direction, bytes: number): Promise<void> {
    return new Promise((resolve) => {
      let left = bytes;
      const count = (connection: Connection, chunk: Buffer): Buffer => {
        if (left <= 0) return chunk;
        left -= chunk.length;
        if (left > 0) return chunk;
        this.#counting = null;
        setImmediate(() => cutOff(connection));
        resolve();
        return chunk.subarray(0, chunk.length + left);
      };
      this.#counting = { direction, count };
    });
  }

  /** Springs once; resolves when it has. */
  trap(trap: Trap): Promise<void> {
    return new Promise((resolve) => {
      this.#traps.add({ trap, sprung: resolve, skip: trap.skip ?? 0 });
    });
  }

  /** Ends every connection and listens no more. */
  async close(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #counting: {
    readonly direction: Direction;
    readonly count: (connection: Connection, chunk: Buffer) => Buffer;
  } | null = null;

  #accept(client: Socket): void {
    this.#accepted += 1;
    client.on("error", () => undefined);
    if (this.#refuses) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.#targetPort, host: "127.0.0.1", allowHalfOpen: true });
    server.on("error", () => client.resetAndDestroy());
    for (const socket of [client, server]) socket.setNoDelay(true);
    const watch = new Watch(this.#traps, () => this.cut());
    const pipe = (direction: Direction): Pipe => {
      const lens = this.#lenses[direction]?.() ?? ((chunk: Buffer) => chunk);
      return new Pipe({
        from: direction === "toServer" ? client : server,
        to: direction === "toServer" ? server : client,
        weather: () => this.#weather[direction],
        look: (chunk) =>
          this.#counted(connection, direction, watch.look(connection, direction, lens(chunk))),
      });
    };
    const connection: Connection = { client, server, pipes: [pipe("toServer"), pipe("toClient")] };
    this.#connections.add(connection);
    client.once("close", () => {
      this.#connections.delete(connection);
      server.destroy();
    });
    server.once("close", () => client.destroy());
  }

  #counted(connection: Connection, direction: Direction, chunk: Buffer): Buffer {
    const counting = this.#counting;
    return counting?.direction === direction ? counting.count(connection, chunk) : chunk;
  }
}

/** Watches one connection for the traps that are set. */
class Watch {
  readonly #traps: Set<SetTrap>;
  readonly #cutAll: () => void;
  readonly #tails: Record<Direction, string> = { toServer: "", toClient: "" };
  #awaiting: SetTrap | null = null;

  constructor(traps: Set<SetTrap>, cutAll: () => void) {
    this.#traps = traps;
    this.#cutAll = cutAll;
  }

  look(connection: Connection, direction: Direction, chunk: Buffer): Buffer {
    const awaiting = this.#awaiting;
    const isAnswer = awaiting !== null && awaiting.trap.direction !== direction;
    if (isAnswer && this.#contains(awaiting.trap.answer ?? "", direction, chunk)) {
      this.#spring(connection, awaiting);
      return Buffer.alloc(0);
    }
    for (const set of this.#traps) {
      if (set.trap.direction !== direction || !this.#matches(set, chunk)) continue;
      this.#traps.delete(set);
      if (set.trap.moment === "answer") {
        this.#awaiting = set;
        continue;
      }
      // The chunk has to be on its way before the connection is cut.
      setImmediate(() => this.#spring(connection, set));
      return set.trap.moment === "before" ? Buffer.alloc(0) : chunk;
    }
    this.#tails[direction] = (this.#tails[direction] + textOf(chunk)).slice(-longestPattern);
    return chunk;
  }

  /** Whether it springs now: a pattern that ends in this chunk, after as many as it lets pass. */
  #matches(set: SetTrap, chunk: Buffer): boolean {
    const found = this.#count(set.trap.pattern, set.trap.direction, chunk);
    const springs = found > set.skip;
    if (!springs) set.skip -= found;
    return springs;
  }

  #contains(text: string, direction: Direction, chunk: Buffer): boolean {
    return text === "" || this.#count(text, direction, chunk) > 0;
  }

  /** How often the text ends in this chunk. */
  #count(text: string, direction: Direction, chunk: Buffer): number {
    const pattern = text.toLowerCase();
    const tail = this.#tails[direction].slice(1 - pattern.length || Infinity);
    return (tail + textOf(chunk)).split(pattern).length - 1;
  }

  #spring(connection: Connection, { trap, sprung }: SetTrap): void {
    this.#awaiting = null;
    cutOff(connection);
    if (trap.cuts === "all") this.#cutAll();
    sprung();
  }
}

const longestPattern = 256;

function textOf(chunk: Buffer): string {
  return chunk.toString("latin1").toLowerCase();
}

function cutOff({ client, server }: Connection): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return address.port;
}
