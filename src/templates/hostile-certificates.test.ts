import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, group, head, problemsOf } from "./hostile-harness.fixture.ts";

const web = "certificates: { tls: { role: web, commonName: shop.example.com } }\n";
const using = (text: string): string =>
  `groups: { g: { executor: command, with: { create: [./up], inputs: { x: "${text}" } } } }\n`;

cases("certificates that cannot be issued", [
  [
    "one of a group with the name of a secret",
    `${head}secrets: { web: {} }\ngroups: { ¦web: { executor: certifying } }\n`,
    /web stands under secrets too/u,
    /give one of them another/u,
  ],
  [
    "one of a group with the name of a declared one",
    `${head}${web}groups: { ¦tls: { executor: certifying } }\n`,
    /tls stands under certificates too/u,
    /give one of them another/u,
  ],
  [
    "one without a role",
    `${head}certificates: { ¦tls: { commonName: shop.example.com } }\n${group}`,
    /role/u,
    /name of a role/u,
  ],
  [
    "one for nobody",
    `${head}certificates: { tls: { role: web, commonName: ¦"" } }\n${group}`,
    /commonName is empty/u,
    /write a name/u,
  ],
  [
    "a role that is a path",
    `${head}certificates: { tls: { role: ¦"../x", commonName: a } }\n${group}`,
    /role/u,
    /name of a role/u,
  ],
  [
    "an unknown member",
    `${head}certificates: { tls: { role: web, commonName: a, ¦dns: [a] } }\n${group}`,
    /dns/u,
    /altNames/u,
  ],
  [
    "another name that is none",
    `${head}certificates: { tls: { role: web, commonName: a, altNames: [b, ¦"c d"] } }\n${group}`,
    /"c d" is no host name/u,
    /IP address or URI/u,
  ],
  [
    "one that is renewed all the time",
    `${head}certificates: { tls: { role: web, commonName: a, ttl: 2h, renewBefore: ¦90m } }\n${group}`,
    /at least 1h of ttl/u,
    /lengthen ttl/u,
  ],
  [
    "one that ends too soon",
    `${head}certificates: { tls: { role: web, commonName: a, ttl: ¦30m } }\n${group}`,
    /at least 1h of ttl/u,
    /lengthen ttl/u,
  ],
  [
    "a secret in its name",
    `${head}secrets: { s: {} }\ncertificates: { tls: { role: web, commonName: "\${{ ¦secrets.s }}" } }\n${group}`,
    /secret cannot be used in a name of a certificate/u,
    /it may use parameters/u,
  ],
  [
    "a secret parameter in its name",
    `${head}parameters: { s: { type: string, secret: true } }\ncertificates: { tls: { role: web, commonName: "\${{ ¦parameters.s }}" } }\n${group}`,
    /secret parameter s cannot be used in a name/u,
    /accepts secrets/u,
  ],
  [
    "a group that is not there",
    `${head}certificates: { tls: { role: web, commonName: "\${{ ¦groups.wep.outputs.address }}" } }\n${group}`,
    /no group wep/u,
    /did you mean web\?/u,
  ],
  [
    "the name of a secret",
    `${head}secrets: { tls: {} }\n${web.replace("tls", "¦tls")}${group}`,
    /tls is a secret too/u,
    /another one/u,
  ],
]);

cases("certificates that cannot be used", [
  [
    "one that is not declared",
    `${head}${web}${using("${{ ¦certificates.tsl.key }}")}`,
    /no certificate tsl/u,
    /did you mean tls\?/u,
  ],
  [
    "a whole one",
    `${head}${web}${using("${{ ¦certificates.tls }}")}`,
    /not one value/u,
    /certificates\.tls\.key/u,
  ],
  [
    "a part that it does not have",
    `${head}${web}${using("${{ ¦certificates.tls.keys }}")}`,
    /has no keys/u,
    /did you mean key\?/u,
  ],
  [
    "a part of a part",
    `${head}${web}${using("${{ ¦certificates.tls.key.x }}")}`,
    /no members/u,
    /hand it on whole/u,
  ],
  [
    "one in an argument",
    `${head}${web}groups: { g: { executor: command, with: { create: [./up, "\${{ ¦certificates.tls.key }}"] } } }\n`,
    /certificate tls cannot be used in/u,
    /accepts secrets/u,
  ],
  [
    "one that is compared",
    `${head}${web}${using("${{ ¦certificates.tls.key == 'a' }}")}`,
    /certificate tls may only be handed on whole/u,
    /do not compare/u,
  ],
  [
    "by the group whose output its name uses",
    `${head}certificates: { tls: { role: web, commonName: "\${{ groups.web.outputs.address }}" } }
groups:
  web: { executor: command, with: { create: [./up], inputs: { k: "\${{ ¦certificates.tls.key }}" } }, outputs: [address] }
`,
    /the group web and the certificate tls wait for one another/u,
    /known only afterwards/u,
  ],
]);

test("a circle through a certificate is named", () => {
  const text = `${head}certificates: { tls: { role: web, commonName: "\${{ groups.b.outputs.x }}" } }
groups:
  a: { executor: command, with: { create: [./up], inputs: { k: "\${{ certificates.tls.key }}" } }, outputs: [x] }
  b: { executor: command, with: { create: [./up, "\${{ groups.a.outputs.x }}"] }, outputs: [x] }
`;
  assert.match(problemsOf(text)[0]?.message ?? "", /wait for one another in a circle: a .* b/u);
});
