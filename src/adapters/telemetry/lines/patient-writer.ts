import { writeWhole } from "./write-whole.ts";

/** How long a line waits, in all, for a reader that does not keep up. */
const patienceMs = 1_000;

/**
 * Writes lines to an open file, each before the call returns. A reader who reads nothing for longer than one line waits is waited
 * for no more: lines are lost until there is room again, and then a line of `tell` says how many. Otherwise a pipe that is full
 * would hold up the whole process, the renewal of its lease and its stop too.
 */
export function patientWriter(
  descriptor: number,
  tell: (lost: number) => string,
  waitMs = patienceMs,
): (line: string) => void {
  let lost = 0;
  let isCut = false;
  return (line) => {
    const told = lost === 0 ? "" : `${isCut ? "\n" : ""}${tell(lost)}`;
    const text = told + line;
    const rest = writeWhole(descriptor, text, lost === 0 ? waitMs : 0);
    if (rest === 0) {
      lost = 0;
      isCut = false;
      return;
    }
    lost += 1;
    if (rest < Buffer.byteLength(text)) isCut = true;
  };
}
