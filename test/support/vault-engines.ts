import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Aws } from "./aws.ts";
import type { Consul } from "./consul.ts";
import type { Rabbitmq } from "./rabbitmq.ts";
import type { TestPostgres } from "./postgres.ts";
import type { Vault } from "./vault.ts";
import { blocksOf } from "./walkthrough.ts";

interface LeaseTimes {
  readonly ttl: string;
  readonly maxTtl: string;
}

/** What docs/vault.md says of the users that Vault makes in PostgreSQL. */
export const userStatements = {
  create: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE glasshouse;`,
  revoke: `DROP ROLE IF EXISTS "{{name}}";`,
} as const;

/** What docs/vault.md says of the users that Vault makes at the broker. */
export const brokerRights =
  '{"/": {"configure": "^glasshouse[.]", "write": "^(glasshouse[.].*|amq[.]default|)$", "read": "^glasshouse[.]"}}';

/** Makes `database/creds/glasshouse` give users of PostgreSQL, which asks for the password `adminPassword`. */
export async function leaseDatabase(
  vault: Vault,
  of: LeaseTimes & {
    readonly postgres: TestPostgres;
    readonly adminPassword: string;
    readonly role?: string;
    readonly create?: string;
  },
): Promise<void> {
  const { role = "glasshouse", postgres } = of;
  await vault.send("POST", "sys/mounts/database", { body: { type: "database" } });
  await vault.request("POST", "database/config/postgres", {
    plugin_name: "postgresql-database-plugin",
    allowed_roles: "*",
    connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
    username: "glasshouse",
    password: of.adminPassword,
  });
  await vault.request("POST", `database/roles/${role}`, {
    db_name: "postgres",
    creation_statements: [of.create ?? userStatements.create],
    revocation_statements: [userStatements.revoke],
    default_ttl: of.ttl,
    max_ttl: of.maxTtl,
  });
}

/** Makes `consul/creds/<role>` give tokens with these rules of a Consul with ACLs. */
export async function leaseConsul(
  vault: Vault,
  of: LeaseTimes & { readonly consul: Consul; readonly role: string; readonly rules: string },
): Promise<void> {
  const { consul, role, rules } = of;
  await vault.request("POST", "sys/mounts/consul", { type: "consul" });
  await vault.request("POST", "consul/config/access", {
    address: consul.url(),
    token: consul.token,
  });
  await consul.request("PUT", "/v1/acl/policy", { body: { Name: role, Rules: rules } });
  await vault.request("POST", `consul/roles/${role}`, {
    consul_policies: [role],
    ttl: of.ttl,
    max_ttl: of.maxTtl,
  });
}

/** Makes `rabbitmq/creds/<role>` give users of a broker with its management API. */
export async function leaseRabbitmq(
  vault: Vault,
  of: LeaseTimes & { readonly broker: Rabbitmq; readonly role?: string; readonly tags?: string },
): Promise<void> {
  const { role = "glasshouse", tags = "" } = of;
  await vault.request("POST", "sys/mounts/rabbitmq", { type: "rabbitmq" });
  await vault.request("POST", "rabbitmq/config/connection", {
    connection_uri: of.broker.managementUrl,
    username: "guest",
    password: "guest",
  });
  await vault.request("POST", "rabbitmq/config/lease", { ttl: of.ttl, max_ttl: of.maxTtl });
  await vault.request("POST", `rabbitmq/roles/${role}`, { vhosts: brokerRights, tags });
}

/** Makes `aws/creds/<role>` give keys of new users of this stand-in for AWS, which guards from here on. */
export async function leaseAws(
  vault: Vault,
  of: LeaseTimes & { readonly aws: Aws; readonly role: string; readonly actions: string },
): Promise<void> {
  const { aws, role } = of;
  const key = await aws.user("vault", documentedAwsPolicy());
  await aws.guard();
  await vault.request("POST", "sys/mounts/aws", { type: "aws" });
  await vault.request("POST", "aws/config/root", {
    access_key: key.id,
    secret_key: key.secret,
    region: "us-east-1",
    iam_endpoint: aws.url,
    sts_endpoint: aws.url,
  });
  await vault.request("POST", "aws/config/lease", { lease: of.ttl, lease_max: of.maxTtl });
  const may = { Effect: "Allow", Action: of.actions, Resource: "*" };
  await vault.request("POST", `aws/roles/${role}`, {
    credential_type: "iam_user",
    policy_document: JSON.stringify({ Version: "2012-10-17", Statement: may }),
  });
}

/** What docs/vault.md gives Vault's own user at AWS, for all resources, as the stand-in knows no others. */
function documentedAwsPolicy(): object {
  const page = readFileSync(join(import.meta.dirname, "../../docs/vault.md"), "utf8");
  const found = blocksOf(page).find(({ info }) => info === "json aws");
  if (found === undefined) throw new Error("docs/vault.md lacks json aws");
  const policy: unknown = JSON.parse(found.text, (key, value: unknown) =>
    key === "Resource" ? "*" : value,
  );
  if (typeof policy !== "object" || policy === null) throw new Error("no policy");
  return policy;
}
