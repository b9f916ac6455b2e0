/** The third document: who logs in, from which cluster, and what each may read. */

import type { Step } from './script.ts';

const loginAs = (
  role: string,
  namespace: string,
  account: string,
  mount = 'kubernetes',
  context = '',
): string =>
  `VAULT_TOKEN=$(vault write -field=token auth/${mount}/login role=${role} \\
  jwt="$(kubectl${context === '' ? '' : ` --context ${context}`} create token ${account} -n ${namespace})")`;

const role = (name: string, accounts: string, namespace: string, ttl: string): string =>
  `vault write auth/kubernetes/role/${name} \\
  bound_service_account_names=${accounts} \\
  bound_service_account_namespaces=${namespace} \\
  policies=${name} \\
  ttl=${ttl}`;

const ROLES = [
  [[573, 577], 'external-secrets-primary', 'external-secrets', 'external-secrets-system', '1h'],
  [[579, 583], 'argocd', 'argocd-server,argocd-application-controller', 'argocd', '1h'],
  [[585, 589], 'tekton', 'tekton-triggers-sa,tekton-pipelines-sa', 'tekton-pipelines', '1h'],
  [[591, 595], 'crossplane', 'crossplane', 'crossplane-system', '1h'],
  [[597, 601], 'backstage', 'backstage', 'backstage', '24h'],
] as const;

export const accessSteps = (environments: readonly string[]): readonly Step[] => [
  {
    line: [560, 561],
    original: 'export VAULT_ADDR="http://vault.vault.svc:8200"',
    run: 'export VAULT_ADDR="http://vault.vault.svc:8200"',
  },
  {
    line: 564,
    original: 'vault auth enable kubernetes',
    run: 'vault auth enable kubernetes',
    says: /kubernetes\//,
  },
  {
    line: [567, 570],
    original: 'vault write auth/kubernetes/config',
    mended: {
      was: 'Keeps the token that the pod finds in its folder as that of the reviewer. Kubernetes renews that file, and ends what was in it within the hour, or with the pod: from then on nobody logs in. A server in a pod leaves authority and token out and reads both anew; another one is given a token that was made to last.',
    },
    run: `vault write auth/kubernetes/config \\
  kubernetes_host="https://kubernetes.default.svc:443" \\
  kubernetes_ca_cert=@/var/run/secrets/kubernetes.io/serviceaccount/ca.crt \\
  token_reviewer_jwt="$(kubectl create token vault -n vault --duration=8760h)"`,
  },
  ...ROLES.map(
    ([line, name, accounts, namespace, ttl]): Step => ({
      line,
      original: `vault write auth/kubernetes/role/${name}`,
      run: role(name, accounts, namespace, ttl),
      after: accounts.split(',').map((account) => ({
        seen: `${account} logs in, and another namespace's account of that name does not`,
        run: `${loginAs(name, namespace, account)} vault token lookup
refused vault write auth/kubernetes/login role=${name} \\
  jwt="$(kubectl create token external-secrets -n vcluster-guests)"`,
        says: new RegExp(`policies +\\[.*\\b${name}\\b.*\\]`),
      })),
    }),
  ),
  {
    line: [605, 611],
    original: 'for ENV in dev staging uat preprod production sandbox; do',
    mended: {
      was: 'Has the accounts of all virtual clusters log in where the primary one is asked whose their tokens are: it did not sign them, and refuses. What does log in as vcluster-production is the accounts `default` and `external-secrets` of the namespaces default and kube-system of the primary cluster, which nobody meant; and the namespace that the stores name (line 970) is not among them. Each cluster needs a mount of its own, which asks that cluster.',
      shown: {
        seen: 'an account of the virtual cluster is refused, one of the primary cluster reads for production',
        run: `trap 'vault delete auth/kubernetes/role/vcluster-production >/dev/null' EXIT
vault write auth/kubernetes/role/vcluster-production \\
  bound_service_account_names=external-secrets,default \\
  bound_service_account_namespaces=default,kube-system \\
  policies=vcluster-production ttl=1h >/dev/null
${loginAs('vcluster-production', 'default', 'external-secrets')} vault token lookup
vault write auth/kubernetes/login role=vcluster-production \\
  jwt="$(kubectl --context vcluster-production create token external-secrets -n default)"`,
        code: 2,
        says: /vcluster-production/,
        complains: /403/,
      },
    },
    run: `for ENV in ${environments.join(' ')}; do
  kubectl --context "vcluster-$ENV" config view --raw --flatten --minify -o json > "vcluster-$ENV.json"
  vault auth enable -path="kubernetes-$ENV" kubernetes
  vault write "auth/kubernetes-$ENV/config" \\
    kubernetes_host="$(jq -r '.clusters[0].cluster.server' "vcluster-$ENV.json")" \\
    kubernetes_ca_cert="$(jq -r '.clusters[0].cluster["certificate-authority-data"]' "vcluster-$ENV.json" | base64 -d)" \\
    token_reviewer_jwt="$(kubectl --context "vcluster-$ENV" create token vault -n vault --duration=8760h)"
  vault write "auth/kubernetes-$ENV/role/vcluster-$ENV" \\
    bound_service_account_names=external-secrets \\
    bound_service_account_namespaces=external-secrets-system \\
    policies="vcluster-$ENV" \\
    ttl=1h
done
rm vcluster-*.json`,
    after: environments.map((name) => ({
      seen: `the operator of ${name} logs in with a token of its own cluster, and nowhere else`,
      run: `${loginAs(`vcluster-${name}`, 'external-secrets-system', 'external-secrets', `kubernetes-${name}`, `vcluster-${name}`)} vault token lookup
refused vault write auth/kubernetes-${name}/login role=vcluster-${name} \\
  jwt="$(kubectl create token external-secrets -n external-secrets-system)"`,
      says: new RegExp(`policies +\\[default vcluster-${name}\\]`),
    })),
  },
  {
    line: [616, 635],
    original: '# vault/policies/external-secrets-primary.hcl',
    mended: {
      was: 'Allows `list` below secret/data, where there is nothing to list: the names are below secret/metadata.',
    },
    run: `mkdir -p vault/policies
cat > vault/policies/external-secrets-primary.hcl <<'EOF'
path "secret/data/ci-cd/*" {
  capabilities = ["read"]
}
path "secret/data/shared-services/*" {
  capabilities = ["read"]
}
path "secret/data/clusters/*" {
  capabilities = ["read"]
}
path "secret/metadata/*" {
  capabilities = ["list"]
}
path "database/creds/*" {
  capabilities = ["read"]
}
EOF`,
  },
  {
    line: [637, 693],
    original: '# vault/policies/vcluster-dev.hcl',
    mended: {
      was: 'Prints the policies of two environments, and line 704 applies six.',
    },
    run: `for ENV in ${environments.join(' ')}; do
  cat > "vault/policies/vcluster-$ENV.hcl" <<EOF
path "secret/data/apps/$ENV/*" {
  capabilities = ["read"]
}
path "secret/metadata/apps/$ENV/*" {
  capabilities = ["list"]
}
path "secret/data/shared-services/postgres" {
  capabilities = ["read"]
}
path "secret/data/shared-services/kafka" {
  capabilities = ["read"]
}
path "secret/data/shared-services/redis" {
  capabilities = ["read"]
}
path "database/creds/$ENV-*" {
  capabilities = ["read"]
}
path "pki/issue/$ENV-cert" {
  capabilities = ["create", "update"]
}
EOF
done`,
  },
  {
    line: 697,
    original: 'vault policy write external-secrets-primary',
    run: 'vault policy write external-secrets-primary vault/policies/external-secrets-primary.hcl',
    after: [
      {
        seen: 'the primary operator reads what it shall, and no application',
        run: `${loginAs('external-secrets-primary', 'external-secrets-system', 'external-secrets')}
vault kv get -field=url secret/ci-cd/harbor
refused vault kv get secret/apps/dev/user-service`,
        says: /^https:\/\/harbor\.pnats\.cloud$/,
      },
    ],
  },
  {
    line: [698, 701],
    original: 'vault policy write argocd vault/policies/argocd.hcl',
    mended: {
      was: 'Applies four files that the document never writes: each command fails, and the roles of lines 579 to 601 name policies that are not there.',
      shown: {
        seen: 'the file is not there',
        run: 'vault policy write argocd vault/policies/argocd.hcl',
        code: 2,
      },
    },
    run: `cat > vault/policies/argocd.hcl <<'EOF'
path "secret/data/ci-cd/github" {
  capabilities = ["read"]
}
path "secret/data/ci-cd/argocd" {
  capabilities = ["read"]
}
path "secret/data/clusters/*" {
  capabilities = ["read"]
}
EOF
cat > vault/policies/tekton.hcl <<'EOF'
path "secret/data/ci-cd/harbor" {
  capabilities = ["read"]
}
path "secret/data/ci-cd/harbor/robot-accounts/tekton" {
  capabilities = ["read"]
}
EOF
cat > vault/policies/crossplane.hcl <<'EOF'
path "secret/data/infrastructure/databases/*" {
  capabilities = ["create", "read", "update"]
}
EOF
cat > vault/policies/backstage.hcl <<'EOF'
path "secret/data/ci-cd/github" {
  capabilities = ["read"]
}
EOF
for NAME in argocd tekton crossplane backstage; do
  vault policy write "$NAME" "vault/policies/$NAME.hcl"
done`,
    after: [
      {
        seen: 'tekton reads its robot account, and not the key of the deployment',
        run: `${loginAs('tekton', 'tekton-pipelines', 'tekton-triggers-sa')}
vault kv get -field=username secret/ci-cd/harbor/robot-accounts/tekton
refused vault kv get secret/ci-cd/github`,
        says: /^robot\$tekton$/,
      },
    ],
  },
  {
    line: [703, 705],
    original: 'for ENV in dev staging uat preprod production sandbox; do',
    run: `for ENV in ${environments.join(' ')}; do
  vault policy write vcluster-\${ENV} vault/policies/vcluster-\${ENV}.hcl
done`,
    after: [
      {
        seen: 'the operator of dev reads the secrets of dev, and none of production',
        run: `${loginAs('vcluster-dev', 'external-secrets-system', 'external-secrets', 'kubernetes-dev', 'vcluster-dev')}
vault kv get -field=stripe-api-key secret/apps/dev/payment-service
refused vault kv get secret/apps/production/payment-service`,
        says: /^sk_dev$/,
      },
    ],
  },
  {
    line: [1271, 1282],
    original: 'export VAULT_TOKEN=$(vault write -field=token',
    mended: {
      was: 'Takes ENVIRONMENT, SERVICE_NAME and the rest from an environment that the Job does not have: the names in the path are empty, and what is left of it is one secret, which each database writes over the one before. And the policy crossplane is the one that was never written.',
      shown: {
        seen: 'it is written to the folder itself',
        run: `trap 'vault kv metadata delete secret/infrastructure/databases >/dev/null' EXIT
vault kv put secret/infrastructure/databases// host=postgres`,
        says: /^secret\/data\/infrastructure\/databases$/m,
      },
    },
    run: `kubectl create token crossplane -n crossplane-system > crossplane.jwt
REGISTERING=$(vault write -field=token \\
  auth/kubernetes/login \\
  role=crossplane \\
  jwt=@crossplane.jwt)
ENVIRONMENT=dev SERVICE_NAME=user-service-db-creds DB_NAME=dev_userdb DB_USER=user DB_PASSWORD=made
VAULT_TOKEN=$REGISTERING vault kv put secret/infrastructure/databases/\${ENVIRONMENT:?}/\${SERVICE_NAME:?} \\
  host=postgres.shared-services.svc.cluster.local \\
  port=5432 \\
  database="\${DB_NAME:?}" \\
  username="\${DB_USER:?}" \\
  password="\${DB_PASSWORD:?}"`,
    after: [
      {
        seen: 'it is there, and crossplane writes nothing else',
        run: `vault kv get -field=database secret/infrastructure/databases/dev/user-service-db-creds
VAULT_TOKEN=$REGISTERING refused vault kv put secret/ci-cd/github token=x`,
        says: /^dev_userdb$/,
      },
    ],
  },
];
