/** Certificates of OpenSSH (PROTOCOL.certkeys): who may log in as whom, or which key is which host's, signed. Pure. */

import type { KeyObject } from 'node:crypto';
import { compareBytes } from '../../base/bytes.ts';
import { type RsaSignature, sshSignature } from './privatekey.ts';
import type { SshPublicKey } from './publickey.ts';
import { Reader, string, uint32, uint64 } from './wire.ts';

export interface SshCertificate {
  readonly publicKey: SshPublicKey;
  readonly serial: bigint;
  readonly type: 'user' | 'host';
  readonly keyId: string;
  /** Empty: whoever trusts the authority trusts this for every name. */
  readonly principals: readonly string[];
  /** Seconds since the epoch; the second one is no longer within. */
  readonly validAfter: number;
  readonly validBefore: number;
  readonly criticalOptions: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, string>>;
  /** Random bytes, so that nobody can choose all of what is signed. */
  readonly nonce: Uint8Array;
}

export interface Authority {
  readonly key: KeyObject;
  readonly publicKey: SshPublicKey;
  readonly signature: RsaSignature;
}

const TYPES = { user: 1, host: 2 };

/** "ssh-ed25519" -> "ssh-ed25519-cert-v01@openssh.com"; that of a security key keeps one "@openssh.com". */
export const certificateType = ({ type }: SshPublicKey): string =>
  `${type.replace(/@openssh\.com$/, '')}-cert-v01@openssh.com`;

/** The certificate as a blob, signed. */
export function signedCertificate(certificate: SshCertificate, authority: Authority): Buffer {
  const { publicKey, serial, type, keyId, principals, validAfter, validBefore } = certificate;
  const toSign = Buffer.concat([
    string(certificateType(publicKey)),
    string(certificate.nonce),
    fieldsOf(publicKey),
    uint64(serial),
    uint32(TYPES[type]),
    string(keyId),
    string(Buffer.concat(principals.map(string))),
    uint64(BigInt(validAfter)),
    uint64(BigInt(validBefore)),
    string(options(certificate.criticalOptions)),
    string(options(certificate.extensions)),
    string(''),
    string(authority.publicKey.blob),
  ]);
  return Buffer.concat([toSign, string(sshSignature(authority.key, toSign, authority.signature))]);
}

/** What follows the type in a key's blob. */
function fieldsOf({ blob }: SshPublicKey): Buffer {
  const reader = new Reader(blob);
  reader.string();
  return reader.take(reader.left);
}

/** Names in byte order, as the format demands; a value is a string within a string, and none is an empty one. */
const options = (given: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(
    Object.entries(given)
      .sort(([a], [b]) => compareBytes(a, b))
      .flatMap(([name, value]) => [string(name), string(value === '' ? '' : string(value))]),
  );
