/** From what a caller asks for to a certificate: every rule of the role is asked before the authority's key is looked at. */

import { createPrivateKey } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import { type Authority, certificateType, signedCertificate } from '../../crypto/ssh/certificate.ts';
import { parsePublicBlob, publicLine, type SshPublicKey } from '../../crypto/ssh/publickey.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Mount } from '../../plugin/plugin.ts';
import {
  criticalOptionsOf,
  extensionsOf,
  keyIdOf,
  principalsOf,
  ttlOf,
  typeOf,
  type Wish,
} from './allowed.ts';
import { refused } from './fields.ts';
import type { CaRole } from './role.ts';
import type { KeyPair } from './store.ts';
import { type Fill, withExtensions, withPrincipals } from './templates.ts';

const NONCE_BYTES = 32;
const SERIAL_BYTES = 8;

export interface Certified {
  readonly serial_number: string;
  readonly signed_key: string;
}

/**
 * @param fill fills the caller's identity into the role's templates; absent: the caller has none
 * @throws Failure ssh.request, ssh.template, and what `authority` throws
 */
export async function certify(
  mount: Mount,
  role: CaRole,
  wish: Wish,
  facts: { readonly displayName: string; readonly roleName: string; readonly publicKey: SshPublicKey },
  authority: () => Promise<Authority>,
  fill?: Fill,
): Promise<{ readonly data: Certified; readonly warnings: readonly string[] }> {
  const keyId = keyIdOf(role, wish.keyId, facts);
  const type = typeOf(role, wish.type);
  const principals = principalsOf(await withPrincipals(role, type, fill), type, wish.principals);
  const ttlMs = ttlOf(role, wish.ttlMs, mount.ttl());
  const criticalOptions = criticalOptionsOf(role, wish.criticalOptions);
  // Of the role's own extensions nothing is asked where the caller brings some: what they lack is then nobody's loss.
  const own =
    Object.keys(wish.extensions).length === 0 ? await withExtensions(role, fill) : { role, warnings: [] };
  const extensions = extensionsOf(own.role, wish.extensions);
  const now = mount.clock.now();
  const serial = Buffer.from(mount.random(SERIAL_BYTES)).readBigUInt64BE();
  const blob = signedCertificate(
    {
      publicKey: facts.publicKey,
      serial,
      type,
      keyId,
      principals,
      validAfter: Math.max(0, Math.floor((now - role.notBeforeMs) / 1000)),
      validBefore: Math.floor((now + ttlMs) / 1000),
      criticalOptions,
      extensions,
      nonce: mount.random(NONCE_BYTES),
    },
    await authority(),
  );
  return {
    data: {
      serial_number: serial.toString(16),
      signed_key: publicLine(certificateType(facts.publicKey), blob),
    },
    warnings: own.warnings,
  };
}

/** The key pair, ready to sign as the role wants it. @throws Failure ssh.request */
export function authorityOf(pair: KeyPair, role: CaRole): Authority {
  const publicKey = parsePublicBlob(Buffer.from(pair.publicKey, 'base64'));
  if (publicKey === undefined) throw failure('storage.corrupt', { key: 'ca' });
  if (role.signer !== 'default' && publicKey.family !== 'rsa')
    throw refused(
      `algorithm_signer ${role.signer} of the role is for RSA, and the signing key is of ${publicKey.type}`,
    );
  const der = Buffer.from(pair.privateKey, 'base64');
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    return { key, publicKey, signature: role.signer === 'default' ? 'rsa-sha2-256' : role.signer };
  } finally {
    wipe(der);
  }
}
