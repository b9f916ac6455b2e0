import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Ask } from './ask.ts';
import { transitSeal } from './transit.ts';

type Sent = Parameters<Ask>[0];

function sealOver(answer: (sent: Sent) => { status: number; body?: unknown } | Promise<never>) {
  const sent: Sent[] = [];
  const ask: Ask = async (request) => {
    sent.push(request);
    const { status, body } = await answer(request);
    return { status, body: utf8(typeof body === 'string' ? body : JSON.stringify(body ?? null)) };
  };
  const seal = transitSeal({
    ask,
    address: 'https://vault:8200',
    token: 'canary-token',
    keyName: 'un/seal',
    mountPath: 'a/transit',
    namespace: 'ns1',
  });
  return { seal, sent };
}

const WRAPPED = utf8('vault:v3:AAAA');

test('asks the key of its mount, with token and namespace, and takes the answer', async () => {
  const { seal, sent } = sealOver(({ url }) =>
    url.includes('/encrypt/')
      ? { status: 200, body: { data: { ciphertext: 'vault:v3:AAAA' } } }
      : { status: 200, body: { data: { plaintext: 'AQI=' } } },
  );
  expect(textOf(await seal.wrap(Uint8Array.of(1, 2)))).toBe('vault:v3:AAAA');
  expect(await seal.unwrap(WRAPPED)).toEqual(Buffer.from([1, 2]));
  expect(sent.map(({ url, method, body }) => [method, url, JSON.parse(body ?? '')])).toEqual([
    ['POST', 'https://vault:8200/v1/a/transit/encrypt/un%2Fseal', { plaintext: 'AQI=' }],
    ['POST', 'https://vault:8200/v1/a/transit/decrypt/un%2Fseal', { ciphertext: 'vault:v3:AAAA' }],
  ]);
  for (const { headers } of sent)
    expect(headers).toMatchObject({ 'x-vault-token': 'canary-token', 'x-vault-namespace': 'ns1' });
});

test('tells the versions of its key apart', () => {
  const { seal } = sealOver(() => ({ status: 500 }));
  expect([WRAPPED, utf8('vault:v12:x'), utf8('x'), Uint8Array.of(255)].map(seal.generation)).toEqual([
    'v3',
    'v12',
    '',
    '',
  ]);
});

describe('an answer that is none', () => {
  test.each([
    ['sealed', 503, { errors: ['Vault is sealed'] }, 'seal.unreachable', 'HTTP 503 Vault is sealed'],
    ['a gateway', 502, '<html>bad gateway</html>', 'seal.unreachable', 'HTTP 502'],
    ['too many requests', 429, { errors: ['rate limit quota exceeded'] }, 'seal.unreachable', 'rate limit'],
    ['no permission', 403, { errors: ['permission denied'] }, 'seal.refused', 'HTTP 403 permission denied'],
    ['no engine', 404, { errors: ['no handler for route'] }, 'seal.refused', 'HTTP 404 no handler'],
    ['another place', 307, '', 'seal.refused', 'HTTP 307'],
    ['a key that is gone', 400, { errors: ['encryption key not found'] }, 'seal.lost_key', 'key not found'],
    ['nothing in it', 200, {}, 'seal.refused', 'not one of a transit engine'],
    ['something else in it', 200, { data: { plaintext: 7 } }, 'seal.refused', 'not one of a transit engine'],
    ['no base64', 200, { data: { plaintext: 'a' } }, 'seal.refused', 'not one of a transit engine'],
  ])(
    '(%s) is told apart, by what passes and what somebody has to mend',
    async (_name, status, body, code, reason) => {
      const { seal } = sealOver(() => ({ status, body }));
      const error: unknown = await seal.unwrap(WRAPPED).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code, message: expect.stringContaining(reason) });
    },
  );

  test('nobody there, and control characters from over there', async () => {
    const away = sealOver(() =>
      Promise.reject(failure('dial.unreachable', { host: 'vault', port: 8200, reason: 'ECONNREFUSED' })),
    );
    await expect(away.seal.wrap(Uint8Array.of(1))).rejects.toMatchObject({
      code: 'seal.unreachable',
      message: 'the seal "transit" does not answer: no connection to it',
      cause: expect.objectContaining({ message: expect.stringContaining('ECONNREFUSED') }),
    });
    const rude = sealOver(() => ({ status: 403, body: { errors: [`\u001b[2J\n${'x'.repeat(5000)}`] } }));
    const error: unknown = await rude.seal.wrap(Uint8Array.of(1)).catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(/^[\x20-\x7e]{1,400}$/);
  });

  test('whatever comes back, the failure is a row of the table and holds neither token nor key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 599 }),
        fc.oneof(fc.json(), fc.string()),
        async (status, body) => {
          const { seal } = sealOver(() => ({ status, body }));
          for (const work of [
            () => seal.wrap(utf8('canary-key')),
            () => seal.unwrap(WRAPPED),
            () => seal.renewToken(),
          ])
            await work().then(
              () => expect(status).toBe(200),
              (error: unknown) => {
                expect(isFailure(error)).toBe(true);
                expect(String(error)).not.toMatch(/canary|Y2FuYXJ5/);
              },
            );
        },
      ),
    );
  });
});

test('closing ends the request under way', async () => {
  const { seal } = sealOver(
    ({ signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
  );
  const waiting = seal.unwrap(WRAPPED);
  seal.close();
  await expect(waiting).rejects.toMatchObject({ code: 'seal.unreachable' });
});
