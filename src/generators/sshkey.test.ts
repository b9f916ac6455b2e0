import { createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { textOf } from '../base/bytes.ts';
import { parsePrivatePem } from '../crypto/ssh/privatekey.ts';
import { parsePublicLine, publicKeyOf } from '../crypto/ssh/publickey.ts';
import { sshKeySpec } from '../operator/api/generators/schemas.ts';
import { testEnv } from '../provider/testing.ts';
import { sshKeyGenerator } from './sshkey.ts';

const made = async (spec: object): Promise<{ privateKey: string; publicKey: string }> => {
  const fields = await sshKeyGenerator.generate(
    sshKeySpec.parse(spec),
    testEnv({ store: 'SSHKey team/deploy' }),
    async () => {
      throw new Error('a pair of keys leaves nothing behind');
    },
  );
  const text = (key: string): string => textOf(fields.get(key) ?? new Uint8Array()) ?? '';
  expect([...fields.keys()]).toEqual(['privateKey', 'publicKey']);
  return { privateKey: text('privateKey'), publicKey: text('publicKey') };
};

test.each([
  [{}, 'ssh-rsa', 2048],
  [{ keyType: 'rsa', keySize: 3072 }, 'ssh-rsa', 3072],
  [{ keyType: 'ecdsa' }, 'ecdsa-sha2-nistp256', 256],
  [{ keyType: 'ecdsa', keySize: 384 }, 'ecdsa-sha2-nistp384', 384],
  [{ keyType: 'ecdsa', keySize: 521 }, 'ecdsa-sha2-nistp521', 521],
  [{ keyType: 'ed25519', keySize: 4096 }, 'ssh-ed25519', 0],
])('%j makes a key of the kind, and both halves belong together', async (spec, type, bits) => {
  const { privateKey, publicKey } = await made(spec);
  expect(privateKey).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
  const key = parsePrivatePem(privateKey);
  const known = key === undefined ? undefined : publicKeyOf(createPublicKey(key));
  expect(known).toMatchObject({ type, bits });
  expect(parsePublicLine(publicKey.trimEnd())?.blob).toEqual(known?.blob);
  expect(publicKey).toBe(`${publicKey.trimEnd()}\n`);
});

test('a comment stands behind the public key', async () => {
  expect((await made({ keyType: 'ed25519', comment: 'deploy@team' })).publicKey).toMatch(
    /^ssh-ed25519 \S+ deploy@team\n$/,
  );
});

test.each([
  [{ keyType: 'ed25519', comment: 'a\nssh-ed25519 AAAA' }, 'comment holds a line end or a control character'],
  [{ keyType: 'ecdsa', keySize: 512 }, 'keySize for ecdsa is 256, 384 or 521'],
  [{ keySize: 512 }, 'keySize for rsa is 1024 at least; use 2048, 3072 or 4096'],
])('%j is refused', async (spec, reason) => {
  await expect(made(spec)).rejects.toThrow(`SSHKey team/deploy: ${reason}`);
});
