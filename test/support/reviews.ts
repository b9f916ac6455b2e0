/** A way out of the server that ends at an API server of Kubernetes which knows some tokens, for logins by TokenReview. */

import type { Dial } from '../../src/plugin/plugin.ts';

export const REVIEWER_HOST = 'https://kubernetes.example:6443';

/** @param accounts by token: the service account that it was made for */
export const reviewing =
  (accounts: Readonly<Record<string, { readonly namespace: string; readonly name: string }>>): Dial =>
  async ({ url, body = '' }) => {
    if (url !== `${REVIEWER_HOST}/apis/authentication.k8s.io/v1/tokenreviews`)
      throw new Error(`nobody is at ${url}`);
    const { spec } = JSON.parse(body);
    const found = accounts[spec.token];
    const status =
      found === undefined
        ? { authenticated: false, error: 'invalid bearer token' }
        : {
            authenticated: true,
            user: {
              username: `system:serviceaccount:${found.namespace}:${found.name}`,
              uid: `uid-of-${found.name}`,
              groups: ['system:serviceaccounts'],
            },
            audiences: spec.audiences ?? ['https://kubernetes.default.svc'],
          };
    const answer = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status };
    return { status: 201, body: new TextEncoder().encode(JSON.stringify(answer)) };
  };

/** A token as a service account has it, signed by nobody: who reviews it looks it up. */
export function accountToken(namespace: string, name: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://kubernetes.default.svc',
    sub: `system:serviceaccount:${namespace}:${name}`,
    aud: ['https://kubernetes.default.svc'],
    exp: Math.floor(Date.now() / 1000) + 3600,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: `uid-of-${name}` } },
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${part('signature')}`;
}
