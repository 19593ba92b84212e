import assert from "node:assert/strict";
import { test } from "node:test";
import { scanBlocks } from "./hcl-scan.ts";

test("blocks are found with their labels, lines and what surrounds them", () => {
  const blocks = scanBlocks(`
terraform {
  backend "s3" {}
}
resource "a_b" "x" { name = "\${join("}", ["{"])}" }
resource a_b y {
  inner { deep {} }
}`);
  assert.deepEqual(
    blocks.map(({ path, labels, line }) => [path.join("/"), labels, line]),
    [
      ["terraform", [], 2],
      ["terraform/backend", ["s3"], 3],
      ["resource", ["a_b", "x"], 5],
      ["resource", ["a_b", "y"], 6],
      ["resource/inner", [], 7],
      ["resource/inner/deep", [], 7],
    ],
  );
});

test("comments, strings and heredocs hide what stands in them", () => {
  const blocks = scanBlocks(`# module "a" {
// module "b" {
/* module "c" {
*/
locals {
  text = "module \\"d\\" { $\${ {"
  here = <<-EOT
    module "e" {
    "unclosed
    EOT
  map = { module = { source = "f" } }
}
module "real" { source = "./m" }`);
  assert.deepEqual(
    blocks.map(({ path }) => path.join("/")),
    ["locals", "module"],
  );
  assert.equal(blocks[1]?.strings.get("source"), "./m");
  assert.deepEqual(blocks[0]?.attributes, ["text", "here", "map"]);
});

test("nonsense gives no error and comes to an end", () => {
  for (const text of ['"', "${", "<<X\n", "}}}}", '{{{{"${"', "/*", "\u0000", 'a "b" {', "<<"]) {
    assert.ok(Array.isArray(scanBlocks(text)));
  }
});
