/** Who connects. */
export interface DatabaseLogin {
  readonly username: string;
  readonly password: string;
}

/** What a client shows of itself, in PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Certificates that take turns: before one ends there is another. */
export interface ClientCertificates {
  /** The one in force. */
  current(): ClientCertificate;
  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void;
}

/** Who connects, and what is shown; undefined: the user of the URL, and nothing. */
export interface Identity {
  readonly login: DatabaseLogin | undefined;
  readonly certificate: ClientCertificate | undefined;
}

/** Users of a database that take turns: before one ends there is another. */
export interface DatabaseLogins {
  /** The one in force. Errors: those of whoever gives it. */
  current(): Promise<DatabaseLogin>;
  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void;
  /** The server refuses this one: when it is over, there is another one in force when this resolves. */
  refused(login: DatabaseLogin): Promise<void>;
  /** All connections have gone over to the one in force: those before it may end. */
  settled(): Promise<void>;
}
