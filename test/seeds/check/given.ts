/**
 * What each document of `../shared/seeds` says of its server, at the lines where it says so: the policies it prints, the
 * roles it writes, what it mounts and what it stores. A check takes these as files; here they are written down by hand, as
 * the documents have them in shell, in prose and in trees.
 */

export interface GivenPolicy {
  readonly name: string;
  /** The first and the last line of its text in the document. */
  readonly lines: readonly [first: number, last: number];
}

export interface GivenRole {
  readonly line: number;
  readonly name: string;
  readonly accounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly policies: readonly string[];
  readonly audience?: string;
}

export interface Given {
  readonly policies: readonly GivenPolicy[];
  readonly roles: readonly GivenRole[];
  readonly mounts: Readonly<Record<string, string>>;
  /** A path and its keys. */
  readonly paths: readonly string[];
}

const NOTHING: Given = { policies: [], roles: [], mounts: {}, paths: [] };

const demoRole = (line: number, namespace: string): GivenRole => ({
  line,
  name: `eso-${namespace}-role`,
  accounts: ['external-secrets'],
  namespaces: [namespace],
  policies: ['eso-policy'],
  audience: 'vault',
});

const clusterRole = (environment: string): GivenRole => ({
  line: 606,
  name: `vcluster-${environment}`,
  accounts: ['external-secrets', 'default'],
  namespaces: ['default', 'kube-system'],
  policies: [`vcluster-${environment}`],
});

export const given: Readonly<Record<string, Given>> = {
  '000_06b3664b2c8f2b3a.txt': {
    policies: [
      { name: 'eso-policy', lines: [192, 197] },
      { name: 'eso-argocd-policy', lines: [880, 882] },
      { name: 'eso-cicd-policy', lines: [885, 887] },
    ],
    roles: [
      demoRole(176, 'argocd'),
      demoRole(186, 'cicd'),
      demoRole(187, 'observability'),
      demoRole(188, 'backstage'),
      demoRole(1196, 'myapp'),
    ],
    // lines 83 to 89
    mounts: { secret: 'kv-v2', database: 'database', transit: 'transit' },
    paths: [
      // the matrix, lines 269 to 336
      'secret/argocd/admin admin.password',
      'secret/grafana/admin admin-password',
      'secret/sonarqube/admin password',
      'secret/sonarqube/monitoring passcode',
      'secret/docker/registry registry username password',
      'secret/backstage/app backendSecret dexClientSecret',
      'secret/backstage/postgres adminPassword appPassword',
      // line 1178
      'secret/myapp/credentials api-key',
    ],
  },
  // line 240
  '001_037f2e76e7732f29.txt': { ...NOTHING, paths: ['secret/prod/app-credentials username password'] },
  '002_0f27848a527b5671.txt': {
    policies: [
      { name: 'external-secrets-primary', lines: [617, 634] },
      { name: 'vcluster-dev', lines: [638, 663] },
      { name: 'vcluster-production', lines: [667, 692] },
    ],
    roles: [
      {
        line: 573,
        name: 'external-secrets-primary',
        accounts: ['external-secrets'],
        namespaces: ['external-secrets-system'],
        policies: ['external-secrets-primary'],
      },
      {
        line: 579,
        name: 'argocd',
        accounts: ['argocd-server', 'argocd-application-controller'],
        namespaces: ['argocd'],
        policies: ['argocd'],
      },
      {
        line: 585,
        name: 'tekton',
        accounts: ['tekton-triggers-sa', 'tekton-pipelines-sa'],
        namespaces: ['tekton-pipelines'],
        policies: ['tekton'],
      },
      {
        line: 591,
        name: 'crossplane',
        accounts: ['crossplane'],
        namespaces: ['crossplane-system'],
        policies: ['crossplane'],
      },
      {
        line: 597,
        name: 'backstage',
        accounts: ['backstage'],
        namespaces: ['backstage'],
        policies: ['backstage'],
      },
      ...['dev', 'staging', 'uat', 'preprod', 'production', 'sandbox'].map(clusterRole),
    ],
    // The engine at secret/ is the one that every path takes for granted; line 1055.
    mounts: { secret: 'kv-v2', database: 'database' },
    paths: [
      // lines 493 to 524
      'secret/ci-cd/github webhook-secret token ssh-key',
      'secret/ci-cd/harbor admin-password url',
      'secret/ci-cd/harbor/robot-accounts/tekton username password',
      'secret/ci-cd/argocd admin-password url',
      'secret/shared-services/postgres admin-password host port',
      'secret/shared-services/kafka admin-password brokers',
      'secret/shared-services/redis password url',
      // lines 527 to 545
      ...['dev', 'staging', 'production'].flatMap((environment) => [
        `secret/apps/${environment}/user-service api-key jwt-secret encryption-key`,
        `secret/apps/${environment}/payment-service api-key stripe-api-key encryption-key`,
        `secret/apps/${environment}/notification-service api-key sendgrid-api-key twilio-account-sid twilio-auth-token`,
      ]),
      // the tree, lines 426 to 430
      'secret/clusters/dev kubeconfig api-url ca-cert admin-token',
    ],
  },
  '003_2eeae29afcb93ed1.txt': NOTHING,
  '004_53950c35e5bbea4c.txt': {
    ...NOTHING,
    policies: [
      { name: 'virtrigaud-policy', lines: [119, 136] },
      { name: 'virtrigaud-vsphere', lines: [684, 695] },
    ],
  },
};
