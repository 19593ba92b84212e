import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveringGroups } from "./delivered.ts";

test("the groups that entrypoints and outputs name are all that an environment delivers from, each once", () => {
  const entrypoints = {
    shop: {
      url: "http://${{ groups.web.outputs.host }}:${{ groups.web.outputs.port }}/",
      description: "",
    },
  };
  const outputs = {
    region: "${{ parameters.region }}",
    hosts: ["${{ groups.database.outputs.host }}", "${{ groups['cache'].outputs.host }}"],
    all: "${{ [groups.web.outputs.host, groups.queue.outputs.host].map(host, host + '!') }}",
    shop: "${{ entrypoints.shop.url }}",
  };
  assert.deepEqual(deliveringGroups({ entrypoints, outputs }).toSorted(), [
    "cache",
    "database",
    "queue",
    "web",
  ]);
  assert.deepEqual(deliveringGroups({ entrypoints: {}, outputs: {} }), []);
});
