/** The first document: the roles of its namespaces, and how their accounts log in. */

export const role = (namespace: string): string => `vault write auth/kubernetes/role/eso-${namespace}-role \\
  bound_service_account_names=external-secrets \\
  bound_service_account_namespaces=${namespace} \\
  policies=eso-policy \\
  audience=vault \\
  ttl=24h`;

/** How a service account logs in, and reads with what it was given. */
export const asAccount = (
  role: string,
  namespace: string,
  command: string,
  audience = ' --audience=vault',
): string =>
  `VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=${role} \\
  jwt="$(kubectl create token external-secrets -n ${namespace}${audience})") ${command}`;
