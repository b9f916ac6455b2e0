/**
 * What the engine has to do to a cluster, whichever it is: the embedded one in this folder's test, a real one in `test/real`.
 * For tests alone. The engine works with no more rights than Vault's documentation has an administrator grant.
 */

import { beforeAll, describe, expect, test } from 'vitest';

/** What came back; `body` is the parsed JSON. */
export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
}

export interface Bench {
  readonly host: string;
  readonly ca: string;
  /** Asks the secrets server as its root. */
  vault(method: string, path: string, body?: object): Promise<Reply>;
  /** Asks the cluster, as its administrator unless a token is given. */
  kube(method: string, path: string, body?: object, token?: string): Promise<Reply>;
}

export const MOUNT = 'kube';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ENGINE_RULES = [
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  {
    apiGroups: [''],
    resources: ['serviceaccounts', 'serviceaccounts/token'],
    verbs: ['create', 'update', 'delete'],
  },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['rolebindings', 'clusterrolebindings'],
    verbs: ['create', 'update', 'delete'],
  },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['roles', 'clusterroles'],
    verbs: ['bind', 'escalate', 'create', 'update', 'delete'],
  },
];
const PODS = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'create'] }];

/** Looks until it holds: clusters keep what they know of a token for some seconds. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Namespaces, an account with the documented rights for the engine, and the mount that uses it. */
export async function furnish({ host, ca, vault, kube }: Bench): Promise<void> {
  const made = async (path: string, body: object): Promise<Reply> => {
    const reply = await kube('POST', path, body);
    if (reply.status !== 201) throw new Error(`POST ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply;
  };
  for (const [name, team] of [
    ['web', 'a'],
    ['shop', 'b'],
    ['bank', 'c'],
  ])
    await made('/api/v1/namespaces', { metadata: { name, labels: { team } } });
  await made('/api/v1/namespaces/web/serviceaccounts', { metadata: { name: 'existing' } });
  await made('/api/v1/namespaces/bank/serviceaccounts', { metadata: { name: 'engine' } });
  await made(`${RBAC}/clusterroles`, { metadata: { name: 'engine' }, rules: ENGINE_RULES });
  await made(`${RBAC}/clusterroles`, { metadata: { name: 'reader' }, rules: PODS });
  await made(`${RBAC}/clusterrolebindings`, {
    metadata: { name: 'engine' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'engine' },
    subjects: [{ kind: 'ServiceAccount', name: 'engine', namespace: 'bank' }],
  });
  const token = await made('/api/v1/namespaces/bank/serviceaccounts/engine/token', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3600 },
  });
  await vault('POST', `sys/mounts/${MOUNT}`, { type: 'kubernetes' });
  const reply = await vault('POST', `${MOUNT}/config`, {
    kubernetes_host: host,
    kubernetes_ca_cert: ca,
    service_account_jwt: token.body.status.token,
    disable_local_ca_jwt: true,
  });
  expect(reply.status).toBe(204);
}

export function kubernetesEngineConformance(bench: () => Bench): void {
  const vault: Bench['vault'] = (...given) => bench().vault(...given);
  const kube: Bench['kube'] = (...given) => bench().kube(...given);

  const role = async (name: string, fields: object): Promise<void> => {
    const reply = await vault('POST', `${MOUNT}/roles/${name}`, fields);
    expect(reply).toMatchObject({ status: 204 });
  };
  const creds = async (name: string, asked: object = {}): Promise<Reply> => {
    const reply = await vault('POST', `${MOUNT}/creds/${name}`, asked);
    expect(reply).toMatchObject({ status: 200 });
    return reply;
  };
  const list = (token: string, namespace: string) =>
    kube('GET', `/api/v1/namespaces/${namespace}/configmaps`, undefined, token);
  const review = async (token: string, audiences?: string[]) =>
    (
      await kube('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, ...(audiences === undefined ? {} : { audiences }) },
      })
    ).body.status;
  const paths = (namespace: string, name: string): string[] => [
    `${RBAC}/namespaces/${namespace}/roles/${name}`,
    `${RBAC}/clusterroles/${name}`,
    `${RBAC}/namespaces/${namespace}/rolebindings/${name}`,
    `${RBAC}/clusterrolebindings/${name}`,
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`,
  ];
  const present = async (namespace: string, name: string): Promise<string[]> => {
    const replies = await Promise.all(paths(namespace, name).map((path) => kube('GET', path)));
    return replies.flatMap(({ status, body }) => (status === 200 ? [body.kind] : []));
  };
  /** Ends the lease; the token is worth nothing from then on, and nothing that was made for it is left. */
  const revoked = async (issued: Reply): Promise<void> => {
    const { service_account_name: name, service_account_namespace: namespace } = issued.body.data;
    const { service_account_token: token } = issued.body.data;
    const reply = await vault('POST', 'sys/leases/revoke', { lease_id: issued.body.lease_id, sync: true });
    expect(reply.status).toBe(204);
    expect(await present(namespace, name)).toEqual([]);
    await eventually('the token is refused', async () => (await list(token, namespace)).status === 401);
    expect((await review(token)).authenticated ?? false).toBe(false);
  };

  beforeAll(() => furnish(bench()));

  describe('a token', () => {
    test('of an account that exists stands for that account, and lives as long as its lease', async () => {
      await role('existing', {
        allowed_kubernetes_namespaces: ['web'],
        service_account_name: 'existing',
        token_default_ttl: '20m',
      });
      const { body } = await creds('existing');
      expect(body).toMatchObject({ lease_duration: 1200, renewable: false, warnings: null });
      expect(body.lease_id).toMatch(/^kube\/creds\/existing\/\w{24}$/);
      expect(Object.keys(body.data).sort()).toEqual([
        'service_account_name',
        'service_account_namespace',
        'service_account_token',
      ]);
      expect(body.data).toMatchObject({ service_account_name: 'existing', service_account_namespace: 'web' });
      const token: string = body.data.service_account_token;
      const status = await review(token);
      expect(status.user.username).toBe('system:serviceaccount:web:existing');
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
      expect(claims.exp - claims.iat).toBe(1200);
      const reply = await vault('POST', 'sys/leases/renew', { lease_id: body.lease_id });
      expect(reply).toMatchObject({ status: 400 });
      expect((await vault('POST', 'sys/leases/revoke', { lease_id: body.lease_id, sync: true })).status).toBe(
        204,
      );
      expect((await kube('GET', '/api/v1/namespaces/web/serviceaccounts/existing')).status).toBe(200);
    });

    test('is for the audiences that were asked for', async () => {
      await role('audience', {
        allowed_kubernetes_namespaces: ['web'],
        service_account_name: 'existing',
        token_default_audiences: 'vault,other',
        token_default_ttl: '20m',
      });
      const first = (await creds('audience')).body.data.service_account_token;
      expect((await review(first, ['other'])).authenticated).toBe(true);
      expect((await review(first, ['mine'])).authenticated ?? false).toBe(false);
      const second = (await creds('audience', { audiences: ['mine'] })).body.data.service_account_token;
      expect((await review(second, ['mine'])).authenticated).toBe(true);
      expect((await review(second, ['other'])).authenticated ?? false).toBe(false);
    });
  });

  describe('an account that is made', () => {
    test('is bound to a role that exists in one namespace, and goes with its lease', async () => {
      await role('bound', {
        allowed_kubernetes_namespaces: '*',
        kubernetes_role_name: 'reader',
        kubernetes_role_type: 'clusterrole',
        extra_labels: { team: 'web' },
        extra_annotations: { 'example.com/why': 'a test' },
        token_default_ttl: '20m',
      });
      const issued = await creds('bound', { kubernetes_namespace: 'web' });
      const { service_account_name: name, service_account_token: token } = issued.body.data;
      expect(name).toMatch(/^v-root-bound-\d+-[a-z0-9]+$/);
      expect((await list(token, 'web')).status).toBe(200);
      expect((await list(token, 'shop')).status).toBe(403);
      expect((await present('web', name)).sort()).toEqual(['RoleBinding', 'ServiceAccount']);
      const account = (await kube('GET', `/api/v1/namespaces/web/serviceaccounts/${name}`)).body.metadata;
      const binding = (await kube('GET', `${RBAC}/namespaces/web/rolebindings/${name}`)).body.metadata;
      expect(account.ownerReferences).toEqual([
        { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', name, uid: binding.uid },
      ]);
      for (const metadata of [account, binding]) {
        expect(metadata.labels).toEqual({
          'app.kubernetes.io/managed-by': 'holdfast',
          'app.kubernetes.io/created-by': 'holdfast-kubernetes-engine',
          team: 'web',
        });
        expect(metadata.annotations).toEqual({ 'example.com/why': 'a test' });
      }
      await revoked(issued);
      expect((await kube('GET', `${RBAC}/clusterroles/reader`)).status).toBe(200);
    });

    test('is bound in the whole cluster where that is asked for', async () => {
      const issued = await creds('bound', { kubernetes_namespace: 'web', cluster_role_binding: true });
      const { service_account_name: name, service_account_token: token } = issued.body.data;
      expect((await list(token, 'shop')).status).toBe(200);
      expect((await present('web', name)).sort()).toEqual(['ClusterRoleBinding', 'ServiceAccount']);
      await revoked(issued);
    });

    test('may do what the rules of its own role say and nothing else', async () => {
      await role('ruled', {
        allowed_kubernetes_namespaces: ['shop'],
        generated_role_rules: JSON.stringify({ rules: PODS }),
        token_default_ttl: '20m',
      });
      const issued = await creds('ruled');
      const { service_account_name: name, service_account_token: token } = issued.body.data;
      expect((await list(token, 'shop')).status).toBe(200);
      const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'made-' } };
      expect((await kube('POST', '/api/v1/namespaces/shop/configmaps', map, token)).status).toBe(201);
      expect((await kube('GET', '/api/v1/namespaces/shop/secrets', undefined, token)).status).toBe(403);
      expect((await list(token, 'web')).status).toBe(403);
      expect((await present('shop', name)).sort()).toEqual(['Role', 'RoleBinding', 'ServiceAccount']);
      await revoked(issued);
    });

    test('has a role of its own in the whole cluster, written in YAML', async () => {
      await role('everywhere', {
        allowed_kubernetes_namespaces: ['shop'],
        kubernetes_role_type: 'ClusterRole',
        generated_role_rules: 'rules:\n- apiGroups: [""]\n  resources: [configmaps]\n  verbs: [list]\n',
        token_default_ttl: '20m',
      });
      const issued = await creds('everywhere', { cluster_role_binding: 'true' });
      const { service_account_name: name, service_account_token: token } = issued.body.data;
      expect((await list(token, 'web')).status).toBe(200);
      expect((await present('shop', name)).sort()).toEqual([
        'ClusterRole',
        'ClusterRoleBinding',
        'ServiceAccount',
      ]);
      const owner = (await kube('GET', `/api/v1/namespaces/shop/serviceaccounts/${name}`)).body.metadata;
      expect(owner.ownerReferences).toMatchObject([{ kind: 'ClusterRole', name }]);
      await revoked(issued);
    });

    test('is where a selector allows it by the labels of the namespace', async () => {
      await role('selected', {
        allowed_kubernetes_namespaces: 'bank',
        allowed_kubernetes_namespace_selector: 'matchExpressions: [{key: team, operator: In, values: [a]}]',
        kubernetes_role_name: 'reader',
        kubernetes_role_type: 'ClusterRole',
        token_default_ttl: '20m',
      });
      for (const namespace of ['web', 'bank']) {
        const { body } = await creds('selected', { kubernetes_namespace: namespace });
        expect(body.data.service_account_namespace).toBe(namespace);
      }
      for (const namespace of ['shop', 'nowhere']) {
        const reply = await vault('POST', `${MOUNT}/creds/selected`, { kubernetes_namespace: namespace });
        expect(reply).toMatchObject({
          status: 400,
          body: {
            errors: [
              `kubernetes_namespace '${namespace}' is not present in role's allowed_kubernetes_namespaces or does not match role's label selector allowed_kubernetes_namespace_selector`,
            ],
          },
        });
      }
    });

    test('goes with the mount', async () => {
      const issued = await creds('ruled');
      const { service_account_name: name } = issued.body.data;
      const kept = await kube('GET', `/api/v1/namespaces/shop/serviceaccounts/${name}`);
      expect(kept.status).toBe(200);
      const reply = await vault('POST', `sys/leases/revoke-prefix/${MOUNT}`, {});
      expect(reply.status).toBe(204);
      await eventually('all is gone', async () => (await present('shop', name)).length === 0);
    });
  });
}
