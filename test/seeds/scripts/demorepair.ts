/** The first document: what to look at when something is wrong, and a new service. */

import { asAccount, role } from './demoaccounts.ts';
import type { Step } from './script.ts';

const OPERATORS = 'the operator is run with the manifests of the document, by another test';

export const repairSteps: readonly Step[] = [
  {
    line: 952,
    original: '/v1/sys/metrics',
    run: 'curl -fsS "$VAULT_ADDR/v1/sys/metrics?format=prometheus"',
    says: /^vault_core_unsealed(\{[^}]*\})? 1$/m,
  },
  { line: 833, original: 'kubectl get externalsecrets -A', run: 'kubectl get externalsecrets -A' },
  {
    line: 1048,
    original: 'kubectl describe externalsecret',
    run: 'kubectl describe externalsecret grafana-admin-password -n observability',
    says: /Name: +grafana-admin-password/,
  },
  {
    line: [1059, 1061],
    original: 'kubectl exec -n vault-system vault-0',
    run: 'vault kv get secret/argocd/admin',
    says: /admin\.password +\$2/,
  },
  { line: 1064, original: 'task vault:generate-secrets', elsewhere: 'the matrix above is that task' },
  {
    line: [1070, 1072],
    original: 'kubectl exec -n vault-system vault-0',
    run: 'vault read auth/kubernetes/role/eso-argocd-role',
    says: /bound_service_account_namespaces +\[argocd\]/,
  },
  {
    line: [1075, 1077],
    original: 'kubectl exec -n vault-system vault-0',
    run: 'vault policy read eso-policy',
    says: /secret\/data\/\*/,
  },
  { line: 1083, original: 'kubectl get pod -n vault-system', run: 'kubectl get pod -n vault-system' },
  {
    line: 1093,
    original: 'Vault Sealed After Restart',
    act: 'restart',
    run: 'kubectl delete pod -n vault-system vault-0',
  },
  {
    line: 1086,
    original: 'vault status',
    run: 'vault status',
    code: 2,
    says: /Sealed +true/,
  },
  { line: 1090, original: 'task vault:init', elsewhere: 'lines 127 to 188 are that task' },
  { line: 1100, original: './Scripts/vault-init.sh', elsewhere: 'lines 127 to 188 are that script' },
  {
    line: [1105, 1106],
    original: 'UNSEAL_KEY=$(kubectl get secret vault-init-keys',
    run: `UNSEAL_KEY=$(kubectl get secret vault-init-keys -n vault-system -o jsonpath='{.data.unseal-key}' | base64 -d)
vault operator unseal "$UNSEAL_KEY"`,
    says: /Sealed +false/,
    after: [
      {
        seen: 'the secrets are there again',
        run: 'vault kv get -field=password secret/sonarqube/admin',
        says: /^Sonar-Secret-123$/,
      },
    ],
  },
  { line: 1116, original: 'kubectl get secret <secret-name>', elsewhere: OPERATORS },
  { line: 1119, original: 'kubectl get secret <secret-name>', elsewhere: OPERATORS },
  {
    line: 1122,
    original: 'kubectl get externalsecret -n <namespace>',
    run: 'kubectl get externalsecret -n observability',
    says: /grafana-admin-password/,
  },
  {
    line: [1134, 1136],
    original: 'kubectl exec -n vault-system vault-0',
    mended: { was: 'Changes one key with `kv put`, as line 780.' },
    run: 'vault kv patch secret/grafana/admin admin-password="NewPass"',
    after: [
      {
        seen: 'the former one is kept as a version',
        run: 'vault kv get -version=2 -field=admin-password secret/grafana/admin',
        says: /^NewPassword123$/,
      },
    ],
  },
  {
    line: [1139, 1141],
    original: 'kubectl annotate externalsecret grafana-admin-password',
    mended: {
      was: 'Sets an annotation that the first rotation has set already: without `--overwrite` kubectl refuses, and nothing is synced.',
      shown: {
        seen: 'kubectl refuses',
        run: `kubectl annotate externalsecret grafana-admin-password \\
  -n observability \\
  force-sync="$(date +%s%N)"`,
        code: 1,
        complains: /--overwrite/,
      },
    },
    run: `kubectl annotate --overwrite externalsecret grafana-admin-password \\
  -n observability \\
  force-sync="$(date +%s%N)"`,
  },
  {
    line: 1144,
    original: 'kubectl rollout restart deployment prometheus-grafana',
    elsewhere: 'Grafana is no part of this; the reloader restarts it without being asked',
  },
  {
    line: 1163,
    original: 'kubectl delete certificate external-secrets-webhook',
    elsewhere: 'cert-manager is no part of this',
  },
  {
    line: 1166,
    original: 'kubectl get certificate -n external-secrets -w',
    elsewhere: 'cert-manager is no part of this',
  },
  {
    line: [1195, 1201],
    original: 'kubectl exec -n "$NAMESPACE" vault-0',
    run: role('myapp'),
    after: [
      {
        seen: 'the account of myapp logs in',
        run: asAccount('eso-myapp-role', 'myapp', 'vault token lookup'),
        says: /eso-policy/,
      },
    ],
  },
  {
    line: [1265, 1266],
    original: 'task vault:generate-secrets',
    run: `seed secret/myapp/credentials api-key 'demo-api-key-123' base64 none`,
    after: [
      {
        seen: 'the account of myapp reads it',
        run: asAccount('eso-myapp-role', 'myapp', 'vault kv get -field=api-key secret/myapp/credentials'),
        says: /^demo-api-key-123$/,
      },
    ],
  },
  { line: 1272, original: 'kubectl get externalsecret myapp-credentials', elsewhere: OPERATORS },
  { line: 1275, original: 'kubectl get secret myapp-credentials', elsewhere: OPERATORS },
  {
    line: [1298, 1300],
    original: 'kubectl wait --for=condition=Ready externalsecret',
    elsewhere: OPERATORS,
  },
  {
    line: [1319, 1321],
    original: 'vault kv put secret/<service>/<subpath>',
    run: `vault kv put secret/dex/clients \\
  key1="value1" \\
  key2="value2"`,
  },
  {
    line: 1327,
    original: 'vault kv get secret/<service>/<subpath>',
    run: 'vault kv get secret/dex/clients',
    says: /key1 +value1\nkey2 +value2/,
  },
  { line: [1328, 1329], original: 'kubectl get externalsecret <name>', elsewhere: OPERATORS },
];
