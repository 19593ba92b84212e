/** Variables that an operator grants to the children of one executor. They override all others but the service's own. */
export type Grants = Readonly<Record<string, Grant>>;

export interface Grant {
  readonly value: string;
  /** What a program prints of it is masked. */
  readonly isSecret: boolean;
}

/** Of the server's own environment children see these, and nothing else. */
const passed =
  /^(?:PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy|SSL_CERT_(?:FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|TF_CLI_CONFIG_FILE|TERRAFORM_CONFIG)$/u;

/** What a child inherits: paths, language, proxies, certificate bundles and the configuration file of the Terraform CLI. `more` adds names. */
export function inheritedEnvironment(
  server: Readonly<Record<string, string | undefined>>,
  more?: RegExp,
): Readonly<Record<string, string>> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(server))
    if (value !== undefined && (passed.test(name) || more?.test(name) === true))
      inherited[name] = value;
  return inherited;
}

/** As they stand in a child's environment. */
export function grantedVariables(grants: Grants): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(grants).map(([name, { value }]) => [name, value]));
}

/** Granted values that must not be shown. */
export function secretGrants(grants: Grants): readonly string[] {
  return Object.values(grants).flatMap(({ value, isSecret }) => (isSecret ? [value] : []));
}

/** With what one attempt was lent, all of it secret, in the place of what is granted under the same name. */
export function withLent(grants: Grants, lent: Readonly<Record<string, string>>): Grants {
  const secret = Object.entries(lent).map(([name, value]) => [name, { value, isSecret: true }]);
  return { ...grants, ...Object.fromEntries(secret) };
}
