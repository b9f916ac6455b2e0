// The mixed load of the soak: what each kind of request is, how often it comes, and what it is answered.

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as later } from 'node:timers/promises';
import { apiAt } from './api.mjs';

const SECRETS = 2000;
const KEPT = 100_000;

/** The lines that the probe wrote. */
export function linesOf(file) {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((text) => text.endsWith('}'))
      .map((text) => JSON.parse(text));
  } catch {
    return [];
  }
}

/** Mounts and roles: short-lived tokens and leases, so that things end by themselves all the time. */
export async function prepared(server) {
  const { ask, close } = apiAt(server, server.token);
  try {
    await ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await ask('POST', 'sys/mounts/transit', { type: 'transit' });
    await ask('POST', 'transit/keys/soak', {});
    await ask('POST', 'sys/mounts/ssh', { type: 'ssh', config: { default_lease_ttl: '30s' } });
    await ask('POST', 'ssh/roles/soak', { key_type: 'otp', default_user: 'soak', cidr_list: '10.0.0.0/8' });
    await ask('PUT', 'sys/policies/acl/soak', {
      policy: 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }',
    });
    await ask('POST', 'sys/auth/approle', { type: 'approle' });
    await ask('POST', 'auth/approle/role/soak', { token_policies: ['soak'], token_ttl: '60s' });
    const { data: role } = await ask('GET', 'auth/approle/role/soak/role-id');
    const { data: secret } = await ask('POST', 'auth/approle/role/soak/secret-id', {});
    for (let i = 0; i < SECRETS; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) => ask('POST', `secret/data/soak/${i + k}`, { data: body(i + k) })),
      );
    return { roleId: role.role_id, secretId: secret.secret_id, token: server.token };
  } finally {
    close();
  }
}

const body = (number) => ({ username: `user-${number}`, password: `${number}`.padStart(40, 'x'), number });
const anySecret = () => Math.floor(Math.random() * SECRETS);

/** Each kind: its share, and how it is done by `ask(method, path, body, token)`, which gives { status, json }. */
const KINDS = [
  {
    name: 'read',
    share: 45,
    expect: [200, 404],
    run: ({ ask, own }) => ask('GET', `secret/data/soak/${anySecret()}`, undefined, own()),
  },
  {
    name: 'write',
    share: 15,
    expect: [200],
    run: ({ ask }) => ask('POST', `secret/data/soak/${anySecret()}`, { data: body(anySecret()) }),
  },
  {
    name: 'delete',
    share: 2,
    expect: [204],
    run: ({ ask }) => ask('DELETE', `secret/data/soak/${anySecret()}`),
  },
  { name: 'list', share: 2, expect: [200], run: ({ ask }) => ask('GET', 'secret/metadata/soak?list=true') },
  {
    name: 'login',
    share: 6,
    expect: [200],
    run: async ({ ask, world, became }) => {
      const answer = await ask(
        'POST',
        'auth/approle/login',
        { role_id: world.roleId, secret_id: world.secretId },
        null,
      );
      became(answer.json?.auth?.client_token);
      return answer;
    },
  },
  {
    name: 'token, made and revoked',
    share: 6,
    expect: [204],
    run: async ({ ask }) => {
      const made = await ask('POST', 'auth/token/create', { policies: ['soak'], ttl: '5m' });
      return ask('POST', 'auth/token/revoke', { token: made.json?.auth?.client_token });
    },
  },
  {
    name: 'encrypt',
    share: 12,
    expect: [200],
    run: ({ ask }) => ask('POST', 'transit/encrypt/soak', { plaintext: 'c29hawo=' }),
  },
  {
    name: 'lease that ends by itself',
    share: 6,
    expect: [200],
    run: ({ ask }) => ask('POST', 'ssh/creds/soak', { ip: '10.1.2.3' }),
  },
  {
    name: 'lease, made and revoked',
    share: 5,
    expect: [204],
    run: async ({ ask }) => {
      const made = await ask('POST', 'ssh/creds/soak', { ip: '10.1.2.4' });
      return ask('PUT', 'sys/leases/revoke', { lease_id: made.json?.lease_id, sync: true });
    },
  },
  {
    name: 'refused',
    share: 1,
    expect: [403],
    run: ({ ask }) => ask('GET', 'sys/mounts', undefined, 'hvs.nobody'),
  },
];
const SHARES = KINDS.reduce((sum, { share }) => sum + share, 0);

/** Starts the clients. `taken()` gives the latencies in milliseconds since it was called last. */
export function startMix(server, world, { clients, pauseMs }) {
  let stopped = false;
  let latencies = [];
  const counts = new Map(KINDS.map(({ name }) => [name, 0]));
  const problems = [];
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let login;
    const ask = async (method, path, data, token = world.token) => {
      const began = performance.now();
      const answer = await send(agent, server, method, path, data, token);
      if (latencies.length < KEPT) latencies.push(performance.now() - began);
      return answer;
    };
    // A login's token ends by itself; it is used while it surely lives.
    const own = () => (login !== undefined && Date.now() - login.at < 50_000 ? login.token : undefined);
    const became = (token) => {
      login = { token, at: Date.now() };
    };
    try {
      while (!stopped) {
        const kind = drawn();
        try {
          const { status } = await kind.run({ ask, world, own, became });
          counts.set(kind.name, (counts.get(kind.name) ?? 0) + 1);
          if (!kind.expect.includes(status) && problems.length < 20)
            problems.push(`${kind.name} was answered ${status}`);
        } catch (error) {
          if (!stopped && problems.length < 20) problems.push(`${kind.name}: ${error.message}`);
        }
        await later(pauseMs);
      }
    } finally {
      agent.destroy();
    }
  };
  const running = Promise.all(Array.from({ length: clients }, client));
  return {
    taken: () => {
      const given = latencies;
      latencies = [];
      return given;
    },
    counts: () => [...counts],
    problems: () => problems,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

function drawn() {
  let rest = Math.random() * SHARES;
  for (const kind of KINDS) {
    if (rest < kind.share) return kind;
    rest -= kind.share;
  }
  return KINDS[0];
}

function send(agent, { host, port }, method, path, data, token) {
  return new Promise((resolve, reject) => {
    const headers = token === null ? {} : { 'x-vault-token': token };
    const call = request({ host, port, agent, method, path: `/v1/${path}`, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode, json: text === '' ? undefined : JSON.parse(text) });
      });
    });
    call.once('error', reject);
    call.end(data === undefined ? undefined : JSON.stringify(data));
  });
}
