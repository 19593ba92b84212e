import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { missingPackages, readLockFile, systemOf } from "./lock-file.ts";

describe("package-lock.json", () => {
  test("has every package for other systems, without which npm ci refuses it", () => {
    assert.deepEqual(missingPackages(readLockFile()), [], "run node tools/lock-file.ts");
  });

  test("names no registry", () => {
    const resolved = Object.values(readLockFile().packages).filter((entry) => "resolved" in entry);
    assert.deepEqual(resolved, []);
  });
});

describe("the reader of the lock file", () => {
  test("finds an optional package without an entry", () => {
    const tool = {
      dev: true,
      optionalDependencies: { "tool-win32-x64": "1.2.3", "tool-linux-x64": "1.2.3" },
    };
    const lock = { packages: { "node_modules/tool": tool, "node_modules/tool-linux-x64": {} } };
    const missing = { name: "tool-win32-x64", version: "1.2.3", dev: true };
    assert.deepEqual(missingPackages(lock), [missing]);
  });

  test("reads the system from a package's name", () => {
    assert.deepEqual(systemOf("@a/b-linux-arm64-musl"), {
      os: "linux",
      cpu: "arm64",
      libc: "musl",
    });
    assert.deepEqual(systemOf("@a/b-linux-arm-gnueabihf"), {
      os: "linux",
      cpu: "arm",
      libc: "glibc",
    });
    assert.deepEqual(systemOf("@a/darwin-x64"), { os: "darwin", cpu: "x64", libc: null });
    assert.equal(systemOf("@a/b-wasm"), null);
  });
});
