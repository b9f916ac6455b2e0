// Logging in: each answer is a service token that is durable. AppRole, and Kubernetes against a TokenReview over https.

import { fileURLToPath } from 'node:url';
import { compare } from './parts/compare.mjs';
import { startDouble } from './parts/doubles.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'logins, AppRole and Kubernetes';

export async function run(options) {
  const reviewer = await startDouble('reviewer');
  const config = `egress {\n  allow = ["127.0.0.1:${reviewer.port}"]\n}`;
  const clients = Math.max(...options.clients);
  try {
    return await compare(options, {
      title: `${summary}: a service token for an hour, audit off; the API server of Kubernetes is a double on this machine`,
      module: fileURLToPath(import.meta.url),
      variants: [
        { variant: 'AppRole', kind: 'AppRole' },
        { variant: 'Kubernetes', kind: 'Kubernetes', config },
      ],
      prepare: (api, { kind }) =>
        kind === 'AppRole' ? prepareAppRole(api, clients) : prepareKubernetes(api, reviewer, clients),
      claims: ['AppRole', 'Kubernetes'].map((method) => ({
        text: `at 64 clients, at least 3000 logins a second through ${method}`,
        holds(find) {
          const row = find(method, 64);
          return row && row.perSecond >= 3000;
        },
      })),
    });
  } finally {
    reviewer.stop();
  }
}

/** One role, and a secret id for each client that may be used without end. */
async function prepareAppRole(api, clients) {
  await api.ask('POST', 'sys/auth/approle', { type: 'approle' });
  await api.ask('POST', 'auth/approle/role/bench', { token_policies: 'bench', token_ttl: '1h' });
  const { data } = await api.ask('GET', 'auth/approle/role/bench/role-id');
  const secrets = Array.from({ length: clients }, () =>
    api.ask('POST', 'auth/approle/role/bench/secret-id', {}),
  );
  return {
    path: '/v1/auth/approle/login',
    bodies: (await Promise.all(secrets)).map((made) => ({
      role_id: data.role_id,
      secret_id: made.data.secret_id,
    })),
  };
}

/** One role, and a service account for each client. */
async function prepareKubernetes(api, { port, ca }, clients) {
  await api.ask('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  await api.ask('POST', 'auth/kubernetes/config', {
    kubernetes_host: `https://127.0.0.1:${port}`,
    kubernetes_ca_cert: ca,
    token_reviewer_jwt: accountToken('vault', 'reviewer'),
    disable_local_ca_jwt: true,
  });
  await api.ask('POST', 'auth/kubernetes/role/bench', {
    bound_service_account_names: '*',
    bound_service_account_namespaces: 'bench',
    audience: 'vault',
    token_policies: 'bench',
    token_ttl: '1h',
  });
  return {
    path: '/v1/auth/kubernetes/login',
    bodies: Array.from({ length: clients }, (_, i) => ({
      role: 'bench',
      jwt: accountToken('bench', `app-${i}`),
    })),
  };
}

/** A token as a service account has it; its signature is for who reviews it to judge. */
function accountToken(namespace, name) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://kubernetes.default.svc',
    sub: `system:serviceaccount:${namespace}:${name}`,
    aud: ['vault'],
    iat: now - 60,
    nbf: now - 60,
    exp: now + 3600,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: `uid-of-${name}` } },
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${part('signature')}`;
}

export function traffic({ path, bodies }) {
  return {
    client(index) {
      const text = requestText({ method: 'POST', path, body: bodies[index] });
      return {
        next: () => text,
        check: (status, body) =>
          status === 200 && body.includes('"client_token":"') ? undefined : 'nobody was logged in',
      };
    },
  };
}
