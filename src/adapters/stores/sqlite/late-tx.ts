import type { SearchTx } from "../../../ports/store.ts";
import type { Session } from "../sql/session.ts";

type Make = (session: Session) => SearchTx;

/** The repositories, fifty files: loaded for the first transaction or read, as a start gets by without any. */
export class LateTx {
  #make: Make | null = null;

  /** Null until `load` has resolved: who has it need not wait a turn of the loop before each transaction. */
  get loaded(): Make | null {
    return this.#make;
  }

  async load(): Promise<Make> {
    const { SqlTx } = await import("../sql/tx.ts");
    return (this.#make ??= (session) => new SqlTx(session));
  }
}
