/**
 * Who passes the journal on, and how far it is: one row a relay. Of all replicas one owns it, for as long as it renews; a new
 * owner gets a higher token, and the writes of the one before it are refused.
 */
export interface RelayRepository {
  /**
   * Makes `owner` the owner for `leaseMs` on the store's clock, if the lease of the one before has ended or it is the owner
   * already. Null: another one is. The first owner ever begins at the journal's head.
   */
  take(name: string, owner: string, leaseMs: number): Promise<RelayGrant | null>;
  /** Moves the cursor, never back, and lengthens the lease. False when the token is not the newest: it must stop. */
  advance(
    name: string,
    to: { readonly token: number; readonly position: number; readonly leaseMs: number },
  ): Promise<boolean>;
  /** Gives it up, so that another replica need not wait. Nothing when the token is not the newest. */
  release(name: string, token: number): Promise<void>;
  /** How far it is; null when it never began. */
  position(name: string): Promise<number | null>;
}

export interface RelayGrant {
  readonly token: number;
  /** The last position that is known to be passed on. */
  readonly position: number;
}
