import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { kv } from '../../engines/kv/index.ts';
import { approle } from '../../methods/approle/index.ts';
import { userpass } from '../../methods/userpass/index.ts';
import { startServer, type TestServer } from '../testing.ts';

let here: TestServer;
beforeEach(async () => {
  here = await startServer([kv, approle, userpass]);
  await here.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
  await here.ask('POST', 'sys/auth/approle', { type: 'approle' });
  await here.ask('POST', 'sys/auth/userpass', { type: 'userpass' });
});
afterEach(() => here.close());

/** What a listener hears, as it came. */
async function listen(token = here.root) {
  const url = `${here.url.replace('http', 'ws')}/v1/sys/events/subscribe/*?json=true`;
  const socket = new WebSocket(url, { headers: { 'x-vault-token': token } });
  const heard: string[] = [];
  socket.on('message', (text) => void heard.push(String(text)));
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  const types = (): string[] => heard.map((text) => JSON.parse(text).data.event_type);
  return { socket, heard, types };
}

const TYPE = 'system/rights-changed';

describe('the word that rights changed', () => {
  const CHANGES: Record<string, () => Promise<unknown>> = {
    'a policy that is written': () =>
      here.ask('PUT', 'sys/policies/acl/p', { policy: 'path "x" { capabilities = ["read"] }' }),
    'a policy that is written by the older path': () =>
      here.ask('PUT', 'sys/policy/p', { policy: 'path "x" { capabilities = ["read"] }' }),
    'a policy that is deleted': () => here.ask('DELETE', 'sys/policies/acl/p'),
    'a role that is written': () => here.ask('POST', 'auth/approle/role/r', { token_policies: 'p' }),
    'a role that is deleted': () => here.ask('DELETE', 'auth/approle/role/r'),
    'a user that is given a policy': () =>
      here.ask('POST', 'auth/userpass/users/u', { password: 'long enough', token_policies: 'p' }),
    'an entity that is made': () => here.ask('POST', 'identity/entity', { name: 'e', policies: 'p' }),
    'a group that is made': () => here.ask('POST', 'identity/group', { name: 'g', policies: 'p' }),
  };
  test.each(Object.entries(CHANGES))('is told of %s, and does not say so', async (_, change) => {
    const { heard, types, socket } = await listen();
    const before = await here.backend.head();
    await change();
    await expect.poll(types).toContain(TYPE);
    const sent = JSON.parse(heard.find((text) => text.includes(TYPE)) ?? '');
    expect(Number(sent.revision)).toBeGreaterThanOrEqual(before);
    expect(Number(sent.revision)).toBeLessThanOrEqual(await here.backend.head());
    expect(sent.data).toMatchObject({
      event: {
        metadata: {
          path: 'sys/policies/acl',
          data_path: 'sys/policies/acl',
          operation: 'rights-changed',
          modified: 'true',
          revision: sent.revision,
        },
      },
      event_type: TYPE,
      plugin_info: { mount_class: 'secret', mount_path: 'sys/', plugin: 'system' },
    });
    expect(Object.keys(sent.data.event.metadata)).toHaveLength(5);
    socket.close();
  });

  test('is told neither of reads, nor of secrets, logins, tokens and what was refused', async () => {
    const before = await listen();
    await here.ask('POST', 'auth/userpass/users/u', { password: 'long enough' });
    // Its own word is no other's.
    await expect.poll(before.types).toContain(TYPE);
    before.socket.close();
    const { types, socket } = await listen();
    await here.ask('POST', 'secret/data/a', { data: {} });
    await here.ask('GET', 'sys/policies/acl/default');
    await here.ask('LIST', 'auth/userpass/users');
    await here.ask('GET', 'sys/policies/acl/default?help=1');
    const login = await here.ask('POST', 'auth/userpass/login/u', { password: 'long enough' });
    const { client_token } = login.json.auth;
    const mine = { 'x-vault-token': client_token };
    await here.ask('POST', 'auth/token/create', {});
    await here.ask('POST', 'auth/token/renew-self', {}, mine);
    const refused = await here.ask('PUT', 'sys/policies/acl/p', { policy: 'path "x" {}' }, mine);
    expect(refused.status).toBe(403);
    expect((await here.ask('PUT', 'sys/policies/acl/p', { policy: 'path' })).status).toBe(400);
    await here.ask('POST', 'auth/token/revoke-self', {}, mine);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await here.ask('POST', 'secret/data/b', { data: {} });
    await expect.poll(() => types().length).toBeGreaterThan(1);
    expect(new Set(types().map((type) => type.split('/')[0]))).toEqual(new Set(['kv-v2']));
    socket.close();
  });

  test('is heard by those alone whose policy lets them subscribe to it', async () => {
    const tokenOf = async (name: string, stanza: string): Promise<string> => {
      const policy = `path "sys/events/subscribe/*" { capabilities = ["read"] }
        path "secret/*" { capabilities = ["subscribe"]\n subscribe_event_types = ["*"] }\n${stanza}`;
      await here.ask('PUT', `sys/policies/acl/${name}`, { policy });
      return (await here.ask('POST', 'auth/token/create', { policies: [name] })).json.auth.client_token;
    };
    const may = await tokenOf(
      'may',
      `path "sys/policies/acl" { capabilities = ["subscribe"]\n subscribe_event_types = ["${TYPE}"] }`,
    );
    const reader = await tokenOf('reader', 'path "sys/policies/acl" { capabilities = ["read", "list"] }');
    const hears = await listen(may);
    const deaf = await listen(reader);
    // What the policies above caused may come first.
    for (let words = 1; words <= 3; words++) {
      await here.ask('DELETE', 'sys/policies/acl/none');
      await expect.poll(() => hears.types().length).toBeGreaterThanOrEqual(words);
    }
    expect(new Set(hears.types())).toEqual(new Set([TYPE]));
    await here.ask('POST', 'secret/data/a', { data: {} });
    await expect.poll(() => deaf.types().at(-1)).toBe('kv-v2/data-write');
    expect(deaf.types()).not.toContain(TYPE);
    for (const { socket } of [hears, deaf]) socket.close();
  });
});
