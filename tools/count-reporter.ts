import type { TestEvent } from "node:test/reporters";

/** What the last line of the report says: how many tests there were and how they ended. */
export interface TestCounts {
  readonly tests: number;
  readonly passed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly skipped: number;
}

/**
 * A reporter of Node's test runner that writes JSON lines for tools/run-tests.ts: `{"emptyFile": path}` for each file
 * without a test, and `{"counts": TestCounts}` at the end.
 *
 * Node reports a file that registers no test as one passing test with the file's name at line 1, column 1; without
 * this check such a file would look like a success.
 */
async function* countReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type === "test:pass" && isPlaceholder(event.data)) {
      yield `${JSON.stringify({ emptyFile: event.data.file })}\n`;
    }
    // With a process per file each file has a summary too; the one without a file is the sum.
    if (event.type === "test:summary" && event.data.file === undefined) {
      yield `${JSON.stringify({ counts: event.data.counts })}\n`;
    }
  }
}

interface Passed {
  readonly name: string;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

function isPlaceholder(passed: Passed): boolean {
  return passed.line === 1 && passed.column === 1 && (passed.file ?? "").endsWith(passed.name);
}

// Node loads a reporter by its default export; there is no other way to name one.
// oxlint-disable-next-line import/no-default-export
export default countReporter;
