/**
 * What each document of `../shared/seeds` holds, and what becomes of it. The values stand where the document says they
 * are stored; a document that only names a property gets a value here. Line numbers are those of the documents.
 */

import type { KubeObject } from '../../src/kube/kube.ts';

/** The outcome of one object: its Ready condition, and what the message says. */
export interface Outcome {
  readonly ready: 'True' | 'False';
  readonly reason: string;
  readonly says: RegExp;
}

export interface Step {
  /** What was done before this step, as a sentence. */
  readonly when: string;
  /** Objects that the document takes for granted and does not show. */
  readonly objects?: readonly KubeObject[];
  /** KV secrets by path: `given` is what the document shows, and where. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Engines that the document has beside its KV, over a database and an authority of ours. */
  readonly engines?: readonly Engine[];
  /** Keyed by `LINE KIND NAMESPACE/NAME`; a store of the cluster has no namespace. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** Values of Secrets afterwards: `NAMESPACE/NAME KEY`. */
  readonly values?: Readonly<Record<string, string>>;
  /** The same, of what is made anew each time. */
  readonly shapes?: Readonly<Record<string, RegExp>>;
}

/** A mount, and what is written there: path -> body, after the connection to the database that a `database` has. */
export interface Engine {
  readonly mount: string;
  readonly type: 'database' | 'pki';
  readonly writes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Role {
  readonly name: string;
  readonly accounts: readonly (readonly [namespace: string, name: string])[];
  readonly policies: readonly string[];
}

export interface Expectation {
  readonly roles: readonly Role[];
  readonly steps: readonly Step[];
}

const synced: Outcome = { ready: 'True', reason: 'SecretSynced', says: /^secret synced$/ };
const valid: Outcome = { ready: 'True', reason: 'Valid', says: /^store validated$/ };
const failed = (says: RegExp): Outcome => ({ ready: 'False', reason: 'SecretSyncedError', says });
const unpushed = (says: RegExp): Outcome => ({ ready: 'False', reason: 'Errored', says });
const invalid = (says: RegExp): Outcome => ({ ready: 'False', reason: 'InvalidProviderConfig', says });

const vaultStore = (
  kind: 'SecretStore' | 'ClusterSecretStore',
  name: string,
  namespace: string | undefined,
  vault: { server: string; role: string; account: Readonly<Record<string, unknown>> },
): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind,
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  spec: {
    provider: {
      vault: {
        server: vault.server,
        path: 'secret',
        version: 'v2',
        auth: {
          kubernetes: { mountPath: 'kubernetes', role: vault.role, serviceAccountRef: vault.account },
        },
      },
    },
  },
});

/** The pattern of document 000, lines 475 to 506: one store in each namespace, under a role of its own. */
const patternStore = (name: string, namespace: string): KubeObject =>
  vaultStore('SecretStore', name, namespace, {
    server: 'http://vault.vault-system.svc.cluster.local:8200',
    role: `eso-${namespace}-role`,
    account: { name: 'external-secrets', audiences: ['vault'] },
  });

/** Lines 76 to 95 of document 004: the same store, in the namespace of those who name it. */
const virtrigaudStore = (namespace: string): KubeObject =>
  vaultStore('SecretStore', 'vault-secret-store', namespace, {
    server: 'https://vault.example.com:8200',
    role: 'virtrigaud-role',
    account: { name: 'external-secrets' },
  });

/** An engine that makes accounts: of whichever database, the operator sees a lease and a pair. */
const accounts = (mount: string, role: string): Engine => ({
  mount,
  type: 'database',
  writes: {
    [`roles/${role}`]: {
      db_name: 'double',
      creation_statements: '["~app:*", "+@read"]',
      default_ttl: '1h',
      max_ttl: '24h',
    },
  },
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const KUBECONFIG = 'apiVersion: v1\nkind: Config\nclusters: []\n';
const AUTHORITY = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const SSH_KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n';
const ADMIN_HASH = '$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';

export const expectations: Readonly<Record<string, Expectation>> = {
  '000_06b3664b2c8f2b3a.txt': {
    roles: [{ name: 'eso-cicd-role', accounts: [['cicd', 'external-secrets']], policies: ['eso-cicd'] }],
    steps: [
      {
        when: 'as the document stands',
        secrets: {
          // config.toml, lines 383 to 392, at the paths of the matrix, lines 269 to 337
          'argocd/admin': { 'admin.password': ADMIN_HASH },
          'grafana/admin': { 'admin-password': 'graf' },
          'backstage/app': { backendSecret: 'drawn', dexClientSecret: 'backstage-demo-secret' },
          'backstage/postgres': { adminPassword: 'drawn', appPassword: 'drawn-too' },
          // lines 256 to 261
          'docker/registry': { registry: 'docker.io', username: 'user', password: 'pass' },
          // line 1188
          'myapp/credentials': { 'api-key': 'demo-api-key-123' },
        },
        outcomes: {
          '482 SecretStore cicd/cicd': valid,
          '1217 SecretStore myapp/myapp': valid,
          '528 ExternalSecret observability/grafana-admin-password': failed(
            /could not get SecretStore "observability", there is no such SecretStore/,
          ),
          '559 ExternalSecret argocd/argocd-admin-password': failed(
            /could not get SecretStore "vault-backend", there is no such SecretStore/,
          ),
          '602 ExternalSecret backstage/backstage-app-secrets': failed(
            /could not get SecretStore "backstage", there is no such SecretStore/,
          ),
          // It names no store at all.
          '675 ExternalSecret cicd/docker-credentials': failed(
            /no store is named: set spec\.secretStoreRef\.name/,
          ),
          '1243 ExternalSecret myapp/myapp-credentials': synced,
          // Its backend is a store of that name, and the document has none.
          '807 DatabaseSecret default/postgres-dynamic': failed(
            /could not get SecretStore "vault", there is no such SecretStore in namespace "default"/,
          ),
        },
        values: { 'myapp/myapp-credentials API_KEY': 'demo-api-key-123' },
      },
      {
        when: 'with the stores that the document describes as a pattern, and the Secret that Argo CD makes',
        objects: [
          {
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { name: 'argocd-secret', namespace: 'argocd' },
            data: { 'server.secretkey': base64('made by argocd') },
          },
          patternStore('observability', 'observability'),
          patternStore('vault-backend', 'argocd'),
          patternStore('backstage', 'backstage'),
        ],
        outcomes: {
          '528 ExternalSecret observability/grafana-admin-password': synced,
          '559 ExternalSecret argocd/argocd-admin-password': synced,
          '602 ExternalSecret backstage/backstage-app-secrets': synced,
          '675 ExternalSecret cicd/docker-credentials': failed(/no store is named/),
        },
        values: {
          'observability/grafana-admin-password admin-password': 'graf',
          'argocd/argocd-secret admin.password': ADMIN_HASH,
          'argocd/argocd-secret server.secretkey': 'made by argocd',
          'backstage/backstage-app-secrets BACKEND_SECRET': 'drawn',
          'backstage/backstage-app-secrets POSTGRES_PASSWORD': 'drawn-too',
          'backstage/backstage-app-secrets DEX_CLIENT_SECRET': 'backstage-demo-secret',
        },
      },
    ],
  },
  '001_037f2e76e7732f29.txt': {
    roles: [],
    steps: [
      {
        when: 'as the document stands',
        secrets: {
          'prod/database': { username: 'app', password: 'database-password' },
          // lines 240 to 242
          'prod/app-credentials': { username: 'app_user', password: 'secure_password' },
          'argocd/admin': { 'admin.password': ADMIN_HASH },
        },
        outcomes: {
          '78 ExternalSecret default/db-credentials': failed(
            /could not get ClusterSecretStore "vault-backend", there is no such ClusterSecretStore/,
          ),
          '250 ExternalSecret production/app-credentials': failed(
            /could not get ClusterSecretStore "vault-backend", there is no such ClusterSecretStore/,
          ),
          '273 ExternalSecret argocd/argocd-admin-password': failed(
            /could not get SecretStore "vault-backend", there is no such SecretStore/,
          ),
          // Nothing in the document makes the Secrets that it pushes.
          '107 PushSecret default/push-to-aws': unpushed(
            /^could not get source secret: could not get Secret "lambda-db-password"/,
          ),
          '297 PushSecret default/push-app-creds-to-aws': unpushed(
            /^could not get source secret: could not get Secret "app-credentials"/,
          ),
        },
      },
      {
        when: 'with the stores that the document names, the Secrets that it pushes, and the one that Helm makes',
        objects: [
          ...['lambda-db-password', 'app-credentials'].map((name) => ({
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { name, namespace: 'default' },
            data: { password: base64('of lambda') },
          })),
          // Stands for the store of AWS, which the document names and does not show.
          {
            apiVersion: 'external-secrets.io/v1',
            kind: 'SecretStore',
            metadata: { name: 'aws-secrets-manager', namespace: 'default' },
            spec: { provider: { fake: { data: [] } } },
          },
          vaultStore('ClusterSecretStore', 'vault-secretstore', undefined, {
            server: 'http://vault.vault-system.svc.cluster.local:8200',
            role: 'eso-cluster-role',
            account: { name: 'external-secrets', namespace: 'external-secrets' },
          }),
          {
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { name: 'argocd-secret', namespace: 'argocd' },
            data: { 'server.secretkey': base64('made by helm') },
          },
          patternStore('vault-backend', 'argocd'),
          vaultStore('ClusterSecretStore', 'vault-backend', undefined, {
            server: 'http://vault.vault-system.svc.cluster.local:8200',
            role: 'eso-cluster-role',
            account: { name: 'external-secrets', namespace: 'external-secrets' },
          }),
        ],
        outcomes: {
          '78 ExternalSecret default/db-credentials': synced,
          '250 ExternalSecret production/app-credentials': synced,
          '273 ExternalSecret argocd/argocd-admin-password': synced,
          // A PushSecret has no source among its stores: it writes to Vault, too, or tries.
          '107 PushSecret default/push-to-aws': unpushed(
            /^set secret failed: could not write remote ref password to target secretstore vault-secretstore: /,
          ),
          '297 PushSecret default/push-app-creds-to-aws': unpushed(
            /^set secret failed: could not get SecretStore "vault-secretstore", there is no such SecretStore in namespace "default"; a ClusterSecretStore of that name exists: set secretStoreRef\.kind to ClusterSecretStore/,
          ),
        },
        values: {
          'default/db-secret password': 'database-password',
          'production/app-secret username': 'app_user',
          'production/app-secret password': 'secure_password',
          'argocd/argocd-secret admin.password': ADMIN_HASH,
          'argocd/argocd-secret server.secretkey': 'made by helm',
        },
      },
    ],
  },
  '002_0f27848a527b5671.txt': {
    // lines 573 to 611
    roles: [
      {
        name: 'external-secrets-primary',
        accounts: [['external-secrets-system', 'external-secrets']],
        policies: [],
      },
      {
        name: 'vcluster-dev',
        accounts: [['default', 'external-secrets']],
        policies: ['eso-default'],
      },
    ],
    steps: [
      {
        when: 'as the document stands',
        secrets: {
          // lines 493 to 496: `token` is a key of ci-cd/github
          'ci-cd/github': { 'webhook-secret': 'w', token: 'github-token', 'ssh-key': 'k' },
          // lines 498 to 504
          'ci-cd/harbor': { 'admin-password': 'a', url: 'https://harbor.pnats.cloud' },
          'ci-cd/harbor/robot-accounts/tekton': { username: 'robot$tekton', password: 'robot-password' },
          // the tree, lines 426 to 430: the kubeconfig is base64 there
          'clusters/dev': {
            kubeconfig: base64(KUBECONFIG),
            'api-url': 'https://dev-k8s-api:6443',
            'ca-cert': 'c',
            'admin-token': 't',
          },
          // lines 518 to 524
          'shared-services/kafka': { 'admin-password': 'k', brokers: 'kafka-0:9092,kafka-1:9092' },
          'shared-services/redis': { password: 'redis-password', url: 'redis://redis:6379' },
          // lines 530 to 533
          'apps/dev/user-service': { 'api-key': 'A', 'jwt-secret': 'J', 'encryption-key': 'E' },
        },
        outcomes: {
          '730 ClusterSecretStore vault-backend': valid,
          '753 SecretStore argocd/vault-backend': valid,
          '772 SecretStore tekton-pipelines/vault-backend': valid,
          // A namespaced store that names the account of another namespace.
          '952 SecretStore default/vault-backend': invalid(
            /namespace should either be empty or match the namespace of the SecretStore/,
          ),
          '795 ExternalSecret argocd/github-repo-creds': synced,
          '827 ExternalSecret argocd/dev-cluster-kubeconfig': synced,
          '863 ExternalSecret tekton-pipelines/harbor-robot-tekton': synced,
          '979 ExternalSecret default/user-service-secrets': failed(
            /SecretStore "vault-backend" is not ready: .*namespace should either be empty or match/,
          ),
          '1098 ExternalSecret default/user-service-db-dynamic': failed(
            /SecretStore "vault-backend" is not ready/,
          ),
        },
        values: {
          'argocd/github-repo-secret password': 'github-token',
          'argocd/github-repo-secret type': 'git',
          'argocd/dev-cluster-secret server': 'https://dev-k8s-api:6443',
          'argocd/dev-cluster-secret config': KUBECONFIG,
          'tekton-pipelines/harbor-robot-tekton .dockerconfigjson': `${JSON.stringify(
            {
              auths: {
                'https://harbor.pnats.cloud': {
                  username: 'robot$tekton',
                  password: 'robot-password',
                  auth: base64('robot$tekton:robot-password'),
                },
              },
            },
            undefined,
            2,
          )}\n`,
        },
      },
      {
        when: 'with a store of `default` that names an account of its own namespace',
        objects: [
          vaultStore('SecretStore', 'vault-backend', 'default', {
            server: 'http://vault.vault.svc.cluster.local:8200',
            role: 'vcluster-dev',
            account: { name: 'external-secrets' },
          }),
        ],
        outcomes: {
          '979 ExternalSecret default/user-service-secrets': failed(
            /spec\.data\[0\] \(key: database\/creds\/dev-userservice\).*Secret does not exist/,
          ),
          '1098 ExternalSecret default/user-service-db-dynamic': failed(
            /spec\.data\[0\] \(key: database\/creds\/dev-userservice\).*Secret does not exist/,
          ),
        },
      },
      {
        when: 'with the database engine of section 6.1',
        objects: [
          vaultStore('SecretStore', 'vault-backend', 'default', {
            server: 'http://vault.vault.svc.cluster.local:8200',
            role: 'vcluster-dev',
            account: { name: 'external-secrets' },
          }),
        ],
        engines: [accounts('database', 'dev-userservice')],
        outcomes: {
          '979 ExternalSecret default/user-service-secrets': failed(
            /data\[API_KEY\].*"apiKey".*did you mean "api-key"/,
          ),
          '1098 ExternalSecret default/user-service-db-dynamic': synced,
        },
        shapes: {
          'default/user-service-db-creds DB_USERNAME': /^V_KUBERNETES/,
          'default/user-service-db-creds DB_PASSWORD': /^[A-Za-z0-9-]{20}$/,
          'default/user-service-db-creds DATABASE_URL':
            /^postgresql:\/\/V_KUBERNETES[^:]+:[A-Za-z0-9-]{20}@postgres\.shared-services\.svc\.cluster\.local:5432\/dev_userdb\?sslmode=require$/,
        },
      },
    ],
  },
  '003_2eeae29afcb93ed1.txt': { roles: [], steps: [] },
  '004_53950c35e5bbea4c.txt': {
    roles: [
      {
        name: 'virtrigaud-role',
        accounts: [
          ['virtrigaud-system', 'external-secrets'],
          ['vsphere-providers', 'external-secrets'],
          ['libvirt-providers', 'external-secrets'],
          ['provider-namespace', 'external-secrets'],
        ],
        policies: ['eso-vsphere-providers', 'eso-libvirt-providers', 'eso-provider-namespace'],
      },
      {
        name: 'virtrigaud-cluster-role',
        accounts: [['virtrigaud-system', 'external-secrets']],
        policies: [],
      },
    ],
    steps: [
      {
        when: 'as the document stands',
        secrets: {
          'providers/vsphere': {
            username: 'administrator@vsphere.local',
            password: 'vsphere-password',
            server: 'vcenter.example.com',
            ca_cert: base64(AUTHORITY),
          },
          'vsphere/static': { server: 'vcenter.example.com' },
          'libvirt/ssh': {
            private_key: SSH_KEY,
            public_key: 'ssh-ed25519 AAAA',
            known_hosts: 'h ssh-ed25519 B',
          },
        },
        outcomes: {
          '76 SecretStore virtrigaud-system/vault-secret-store': valid,
          '97 ClusterSecretStore vault-cluster-store': valid,
          // Their store lives in another namespace.
          '142 ExternalSecret vsphere-providers/vsphere-credentials': failed(
            /could not get SecretStore "vault-secret-store", there is no such SecretStore in namespace "vsphere-providers"/,
          ),
          '385 ExternalSecret vsphere-providers/vsphere-dynamic-credentials': failed(
            /could not get SecretStore "vault-secret-store", there is no such SecretStore in namespace "vsphere-providers"/,
          ),
          '456 ExternalSecret libvirt-providers/libvirt-ssh-keys': failed(
            /could not get SecretStore "vault-secret-store", there is no such SecretStore in namespace "libvirt-providers"/,
          ),
          '519 ExternalSecret provider-namespace/provider-tls-certs': failed(
            /could not get SecretStore "vault-secret-store", there is no such SecretStore in namespace "provider-namespace"/,
          ),
          // `auth.serviceAccount` is no field of the provider, so the store names no keys.
          '187 SecretStore virtrigaud-system/aws-secrets-manager': invalid(
            /it names no keys of AWS, and this operator lends its own to no store/,
          ),
          '254 SecretStore virtrigaud-system/azure-key-vault': invalid(
            /ManagedIdentity would be the operator's own identity, which it lends to no store/,
          ),
          // The field is called projectID.
          '323 SecretStore virtrigaud-system/gcp-secret-manager': invalid(
            /spec\.provider\.gcpsm\.projectID is missing/,
          ),
          '225 ExternalSecret provider-namespace/aws-provider-credentials': failed(
            /could not get SecretStore "aws-secrets-manager", there is no such SecretStore in namespace "provider-namespace"/,
          ),
          '293 ExternalSecret provider-namespace/azure-provider-secrets': failed(
            /could not get SecretStore "azure-key-vault", there is no such SecretStore in namespace "provider-namespace"/,
          ),
          '355 ExternalSecret provider-namespace/gcp-provider-secrets': failed(
            /could not get SecretStore "gcp-secret-manager", there is no such SecretStore in namespace "provider-namespace"/,
          ),
        },
      },
      {
        when: 'with that store in the namespaces that name it',
        objects: [
          virtrigaudStore('vsphere-providers'),
          virtrigaudStore('libvirt-providers'),
          virtrigaudStore('provider-namespace'),
        ],
        outcomes: {
          '142 ExternalSecret vsphere-providers/vsphere-credentials': synced,
          '385 ExternalSecret vsphere-providers/vsphere-dynamic-credentials': failed(
            /spec\.data\[0\] \(key: vsphere\/creds\/dynamic-role\).*Secret does not exist/,
          ),
          '456 ExternalSecret libvirt-providers/libvirt-ssh-keys': synced,
          '519 ExternalSecret provider-namespace/provider-tls-certs': failed(
            /spec\.data\[0\] \(key: pki\/issue\/virtrigaud\).*Secret does not exist/,
          ),
        },
        values: {
          'vsphere-providers/vsphere-credentials server': 'vcenter.example.com',
          'vsphere-providers/vsphere-credentials ca.crt': AUTHORITY,
          'libvirt-providers/libvirt-ssh-credentials ssh-privatekey': SSH_KEY,
        },
      },
      {
        when: 'with the engines that the document names: an account maker at vsphere/, and lines 554 to 558 at pki/',
        objects: [
          virtrigaudStore('vsphere-providers'),
          virtrigaudStore('libvirt-providers'),
          virtrigaudStore('provider-namespace'),
        ],
        engines: [
          accounts('vsphere', 'dynamic-role'),
          {
            mount: 'pki',
            type: 'pki',
            writes: {
              'root/generate/internal': { common_name: 'VirtRigaud CA', ttl: '8760h' },
              'roles/virtrigaud': {
                allowed_domains: 'virtrigaud.local,provider-service',
                allow_subdomains: true,
                max_ttl: '8760h',
                generate_lease: true,
              },
            },
          },
        ],
        outcomes: {
          '385 ExternalSecret vsphere-providers/vsphere-dynamic-credentials': synced,
          // A certificate has a name, and the document says none.
          '519 ExternalSecret provider-namespace/provider-tls-certs': failed(
            /pki\/issue\/virtrigaud is written, not read: name its parameters in the key .* or in the annotation holdfast\.dev\/parameters .* or use a VaultDynamicSecret generator/,
          ),
        },
        values: {
          'vsphere-providers/vsphere-dynamic-creds server': 'vcenter.example.com',
          'vsphere-providers/vsphere-dynamic-creds session_ttl': '3600',
        },
        shapes: {
          'vsphere-providers/vsphere-dynamic-creds username': /^V_KUBERNETES/,
          'vsphere-providers/vsphere-dynamic-creds password': /^[A-Za-z0-9-]{20}$/,
        },
      },
    ],
  },
};
