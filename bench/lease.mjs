// Leases: a credential is issued and then revoked; every answer is durable. Half of the answers are issues, half revocations.

import { fileURLToPath } from 'node:url';
import { compare } from './parts/compare.mjs';
import { startDouble } from './parts/doubles.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'leases, issue and revoke';

export async function run(options) {
  const source = await startDouble('accounts');
  try {
    return await compare(options, {
      title: `${summary}: one-time passwords of SSH, and accounts that a source makes over HTTP; audit off`,
      module: fileURLToPath(import.meta.url),
      variants: [
        { variant: 'SSH one-time password', kind: 'ssh' },
        {
          variant: 'custom engine',
          kind: 'custom',
          config: `egress {\n  allow = ["127.0.0.1:${source.port}"]\n}`,
          ours: true,
        },
      ],
      prepare: (api, { contender, kind }) =>
        kind === 'ssh' ? prepareSsh(api, contender) : prepareCustom(api, contender, source),
      steps: 2,
    });
  } finally {
    source.stop();
  }
}

async function prepareSsh(api, { token }) {
  await api.ask('POST', 'sys/mounts/ssh', { type: 'ssh' });
  const role = { key_type: 'otp', default_user: 'bench', cidr_list: '10.0.0.0/8' };
  await api.ask('POST', 'ssh/roles/bench', role);
  return { token, issue: { method: 'POST', path: '/v1/ssh/creds/bench', body: { ip: '10.1.2.3' } } };
}

async function prepareCustom(api, { token }, { port }) {
  await api.ask('POST', 'sys/mounts/custom', { type: 'custom' });
  await api.ask('POST', 'custom/config', { address: `http://127.0.0.1:${port}` });
  await api.ask('POST', 'custom/roles/bench', {
    create: {
      method: 'POST',
      path: '/accounts',
      body: { name: '{{username}}' },
      response: { username: '/account/name' },
    },
    revoke: { method: 'DELETE', path: '/accounts/{{key}}' },
    fields: { password: '{{password}}' },
    default_ttl: '1h',
  });
  return { token, issue: { method: 'GET', path: '/v1/custom/creds/bench' } };
}

/** What is revoked is what was issued just before. */
export function traffic({ token, issue }) {
  const issueText = requestText({ ...issue, token });
  return {
    client() {
      let lease;
      return {
        next: () =>
          lease === undefined
            ? issueText
            : requestText({
                method: 'PUT',
                path: '/v1/sys/leases/revoke',
                token,
                body: { lease_id: lease, sync: true },
              }),
        check(status, body) {
          if (lease !== undefined) {
            lease = undefined;
            return status === 204 ? undefined : 'the lease was not revoked';
          }
          lease = /"lease_id":"([^"]+)"/.exec(body.toString('latin1'))?.[1];
          return status === 200 && lease !== undefined ? undefined : 'no lease was issued';
        },
      };
    },
  };
}
