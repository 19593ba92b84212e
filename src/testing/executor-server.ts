import { pathToFileURL } from "node:url";
import type { ExecutorSubject } from "./executor-subject.ts";
import { TestGroup } from "./executor-group.ts";

/**
 * A server to be killed, for the executors' contract: applies the waiting group of the subject that the module in the first
 * argument exports, in the world and work directory of the second and third. Says the child's identity in one line.
 */
const [modulePath = "", world = "", workDirectory = ""] = process.argv.slice(2);
const { subject }: { readonly subject: ExecutorSubject } = await import(
  pathToFileURL(modulePath).href
);
if (subject.processes === null) throw new Error(`${subject.name} starts no processes`);
const group = new TestGroup(workDirectory, subject.processes.waiting(world));
const executor = await subject.executor();
await executor.apply(
  group.context({
    childStarted: (identity) => {
      process.stdout.write(`${JSON.stringify(identity)}\n`);
      return Promise.resolve();
    },
  }),
);
