import { expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import type { WebRequest } from '../../base/web.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import { testEnv } from '../../provider/testing.ts';
import { createWebhookGenerator } from './webhook.ts';

const generator = createWebhookGenerator({ now: () => 0 });
async function ask(body: string, more: object = {}, status = 200) {
  const requests: WebRequest[] = [];
  const env = testEnv({
    store: 'Webhook team/w',
    secret: async () => ({
      labels: { 'external-secrets.io/type': 'webhook' },
      data: new Map([['token', utf8('t0p')]]),
    }),
    wayOut: {
      ...NO_WAY_OUT,
      dial: async (request) => {
        requests.push(request);
        return { status, body: utf8(body) };
      },
    },
  });
  const spec = generator.spec.parse({
    url: 'https://api.example.com/make',
    result: {},
    secrets: [{ name: 'auth', secretRef: { name: 'creds' } }],
    ...more,
  });
  const made = generator.generate(spec, env, async () => {
    throw new Error('it leaves nothing behind');
  });
  const fields = Object.fromEntries([...(await made)].map(([key, bytes]) => [key, textOf(bytes)]));
  return { fields, requests };
}

test('the members of the answer are the entries, asked for with the templates and Secrets of its manifest', async () => {
  const { fields, requests } = await ask('{"a":"b","n":1.50,"o":{"x":[1]},"t":true,"z":null}', {
    method: 'POST',
    headers: { Authorization: 'Bearer {{ .auth.token }}' },
    body: '{"for":"{{ .auth.token }}"}',
  });
  expect(fields).toEqual({ a: 'b', n: '1.5', o: '{"x":[1]}', t: 'true', z: '' });
  expect(requests).toMatchObject([
    { method: 'POST', headers: { Authorization: 'Bearer t0p' }, body: '{"for":"t0p"}' },
  ]);
});

test('a path leads to the object, or to a text that is one', async () => {
  expect((await ask('{"d":{"a":"b"}}', { result: { jsonPath: '$.d' } })).fields).toEqual({ a: 'b' });
  expect((await ask('{"d":"{\\"a\\":\\"b\\"}"}', { result: { jsonPath: '$.d' } })).fields).toEqual({
    a: 'b',
  });
});

test('what is no object, or not there, says so and quotes nothing', async () => {
  await expect(ask('"canary"')).rejects.toThrow('the answer is not a JSON object');
  await expect(ask('[canary')).rejects.toSatisfy((error: Error) => !error.message.includes('canary'));
  await expect(ask('', {}, 404)).rejects.toThrow('endpoint gave error 404 Not Found');
  await expect(ask('', {}, 500)).rejects.toThrow('endpoint gave error 500');
});
