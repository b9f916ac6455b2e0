/** SSHKey: a pair of keys, the private one in OpenSSH's own form, as external-secrets v2.9 writes them. */

import { createPublicKey } from 'node:crypto';
import { utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { type KeyKind, makeKey, openSshPem } from '../crypto/ssh/privatekey.ts';
import { publicKeyOf, publicLine } from '../crypto/ssh/publickey.ts';
import { sshKeySpec } from '../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../provider/generator.ts';

type Spec = ReturnType<typeof sshKeySpec.parse>;

/** Less is broken in an afternoon, and OpenSSH refuses it by default. */
const LEAST_RSA_BITS = 1024;
const CURVE_BITS = [256, 384, 521];

export const sshKeyGenerator: GeneratorType<Spec> = {
  kind: 'SSHKey',
  spec: sshKeySpec,
  async generate(spec, { store }) {
    // A comment ends with its line: what came after it would be a second key in a file of authorized keys.
    if (/[^\P{C}]/u.test(spec.comment))
      throw failure('provider.spec', { store, reason: 'comment holds a line end or a control character' });
    const key = await makeKey(kindOf(spec, store));
    const known = publicKeyOf(createPublicKey(key));
    if (known === undefined) throw failure('base.internal');
    const line = publicLine(known.type, known.blob);
    const publicKey = spec.comment === '' ? line : `${line.trimEnd()} ${spec.comment}\n`;
    return new Map([
      ['privateKey', utf8(openSshPem(key, spec.comment))],
      ['publicKey', utf8(publicKey)],
    ]);
  },
};

function kindOf({ keyType, keySize }: Spec, store: string): KeyKind {
  switch (keyType) {
    case 'ed25519':
      return { type: 'ed25519', bits: 0 };
    case 'ecdsa': {
      const bits = keySize ?? 256;
      // Upstream takes P-256 for any other size, which is not what was asked for.
      if (!CURVE_BITS.includes(bits))
        throw failure('provider.spec', { store, reason: 'keySize for ecdsa is 256, 384 or 521' });
      return { type: 'ec', bits };
    }
    default: {
      const bits = keySize ?? 2048;
      if (bits < LEAST_RSA_BITS)
        throw failure('provider.spec', {
          store,
          reason: `keySize for rsa is ${LEAST_RSA_BITS} at least; use 2048, 3072 or 4096`,
        });
      return { type: 'rsa', bits };
    }
  }
}
