/** Ciphertexts and signatures that another implementation made, each with what must become of it. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { transit } from './index.ts';

interface OfKey {
  readonly name: string;
  readonly type: string;
  /** Base64 of raw bytes or PKCS #8. */
  readonly key: string;
  readonly derived?: boolean;
  readonly convergent?: boolean;
}
interface Vectors {
  readonly ciphertexts: readonly (OfKey & {
    readonly ciphertext: string;
    readonly plaintext?: string;
    readonly context?: string;
    readonly associated_data?: string;
    readonly outcome: 'decrypts' | 'converges' | 'no match' | 'unable to decrypt';
  })[];
  readonly signatures: readonly (OfKey & {
    readonly input: string;
    readonly signature: string;
    readonly how: Readonly<Record<string, unknown>>;
    readonly outcome: 'valid' | 'invalid';
  })[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/transit.json', import.meta.url), 'utf8'),
) as Vectors;

/** A mount that holds the vector's key as "key", brought in by restoring a backup. */
async function withKey({ type, key, derived = false, convergent = false }: OfKey): Promise<TestMount> {
  const mount = mountForTest(transit, { path: 'transit/' });
  const backup = {
    format: 'holdfast-transit-backup-1',
    name: 'key',
    time: '2026-01-01T00:00:00Z',
    type,
    derived,
    convergent,
    exportable: false,
    plaintextBackup: false,
    deletionAllowed: false,
    latest: 1,
    minDecryption: 1,
    minEncryption: 0,
    minAvailable: 0,
    autoRotateMs: 0,
    imported: false,
    rotatable: true,
    keyBytes: 0,
    versions: { 1: { created: 0, key, hmac: '' } },
  };
  await mount.call('write', 'restore', { backup: Buffer.from(JSON.stringify(backup)).toString('base64') });
  return mount;
}

const MESSAGES = {
  'no match': 'cipher: message authentication failed',
  'unable to decrypt': 'invalid ciphertext: unable to decrypt',
} as const;

test.each(vectors.ciphertexts)('$name: $outcome', async (vector) => {
  const mount = await withKey(vector);
  const { ciphertext, plaintext, context, associated_data, outcome } = vector;
  const about = { context, associated_data };
  const answer = mount.call('write', 'decrypt/key', { ciphertext, ...about });
  if (outcome === 'decrypts' || outcome === 'converges') {
    expect((await answer).data.plaintext).toBe(plaintext);
  } else {
    const error: unknown = await answer.catch((thrown: unknown) => thrown);
    expect(isFailure(error) && error.message).toBe(MESSAGES[outcome]);
  }
  if (outcome === 'converges')
    expect((await mount.call('write', 'encrypt/key', { plaintext, ...about })).data.ciphertext).toBe(
      ciphertext,
    );
});

test.each(vectors.signatures)('$name: $outcome', async (vector) => {
  const mount = await withKey(vector);
  const { input, signature, how, outcome } = vector;
  const { data } = await mount.call('write', 'verify/key', { input, signature, ...how });
  expect(data).toEqual({ valid: outcome === 'valid' });
});

test('there are vectors of every outcome', () => {
  const outcomes = new Set([...vectors.ciphertexts, ...vectors.signatures].map(({ outcome }) => outcome));
  expect([...outcomes].sort()).toEqual([
    'converges',
    'decrypts',
    'invalid',
    'no match',
    'unable to decrypt',
    'valid',
  ]);
});
