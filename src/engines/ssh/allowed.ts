/**
 * What a role lets its callers have in a certificate. Everything is refused that is not allowed by name; what is compared here
 * is what goes into the certificate, byte for byte. Pure.
 */

import { hex, sha256 } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import type { KeyKind } from '../../crypto/ssh/privatekey.ts';
import { CURVES, type SshPublicKey } from '../../crypto/ssh/publickey.ts';
import { checkedText, items, refused, shown } from './fields.ts';
import { type CaRole, checkedOptions, span } from './role.ts';

/** OpenSSH takes no certificate with more (sshkey.c, SSHKEY_CERT_MAX_PRINCIPALS). */
const MOST_PRINCIPALS = 256;
const ANY = '*';

/** What a caller asks to have in a certificate; undefined where nothing was said. Milliseconds. */
export interface Wish {
  readonly type: string;
  readonly principals: string | undefined;
  readonly keyId: string;
  readonly ttlMs: number | undefined;
  readonly criticalOptions: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, string>>;
}

/** @throws Failure ssh.request */
export function typeOf(role: CaRole, asked: string): 'user' | 'host' {
  if (asked !== 'user' && asked !== 'host') throw refused("cert_type must be either 'user' or 'host'");
  if (asked === 'user' ? !role.allowUser : !role.allowHost)
    throw refused(`cert_type '${asked}' is not allowed by role`);
  return asked;
}

/** The names that a certificate is good for, in byte order. @throws Failure ssh.request */
export function principalsOf(
  role: CaRole,
  type: 'user' | 'host',
  asked: string | undefined,
): readonly string[] {
  const fallback = type === 'user' ? role.defaultUser : '';
  const names = items(checkedText(asked ?? fallback, 'valid_principals'));
  const rule = type === 'user' ? role.allowedUsers : role.allowedDomains;
  if (names.length === 0) {
    if (role.allowEmptyPrincipals || rule === ANY) return [];
    throw refused(
      'refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or default_user',
    );
  }
  if (names.length > MOST_PRINCIPALS) throw refused(`more than ${MOST_PRINCIPALS} valid_principals`);
  const allowed = items(rule);
  if (allowed.length === 0) throw refused('role is not configured to allow any principals');
  if (rule === ANY) return names;
  const isAllowed = (name: string): boolean =>
    type === 'user' ? allowed.includes(name) : isAllowedHost(role, allowed, name);
  const wrong = names.find((name) => !isAllowed(name));
  if (wrong !== undefined) throw refused(`${shown(wrong)} is not a valid value for valid_principals`);
  return names;
}

const isAllowedHost = (role: CaRole, domains: readonly string[], name: string): boolean =>
  domains.some(
    (domain) =>
      (role.allowBareDomains && name === domain) ||
      (role.allowSubdomains && name.length > domain.length + 1 && name.endsWith(`.${domain}`)),
  );

/** How long a certificate is good, in milliseconds. @throws Failure ssh.request */
export function ttlOf(
  role: CaRole,
  asked: number | undefined,
  mount: { readonly defaultMs: number; readonly maxMs: number },
): number {
  const ttlMs = span(asked ?? role.ttlMs, 'ttl') || mount.defaultMs;
  const maxMs = role.maxTtlMs || mount.maxMs;
  if (ttlMs <= maxMs) return ttlMs;
  // What the role and the mount say between them is no fault of the caller's.
  if (asked === undefined) return maxMs;
  throw refused(`ttl is larger than maximum allowed ${seconds(maxMs)}`);
}

/** Without any asked for, the role's own. An empty list allows every option: they only ever narrow. @throws Failure ssh.request */
export function criticalOptionsOf(
  role: CaRole,
  asked: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (Object.keys(asked).length === 0) return role.defaultCriticalOptions;
  checkedOptions(asked, 'critical_options');
  const allowed = items(role.allowedCriticalOptions);
  const wrong = Object.keys(asked).filter((name) => !allowed.includes(name));
  if (role.allowedCriticalOptions !== '' && wrong.length > 0)
    throw refused(`critical options not on allowed list: [${wrong.map(shown).join(' ')}]`);
  return asked;
}

/** Without any asked for, the role's own. An empty list allows none: they widen. @throws Failure ssh.request */
export function extensionsOf(
  role: CaRole,
  asked: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (Object.keys(asked).length === 0) return role.defaultExtensions;
  checkedOptions(asked, 'extensions');
  if (role.allowedExtensions === ANY) return asked;
  const allowed = items(role.allowedExtensions);
  const wrong = Object.keys(asked).filter((name) => !allowed.includes(name));
  if (wrong.length > 0) throw refused(`extensions [${wrong.map(shown).join(' ')}] are not on allowed list`);
  return asked;
}

/** What hosts write into their logs for a login. @throws Failure ssh.request */
export function keyIdOf(
  role: CaRole,
  asked: string,
  facts: { readonly displayName: string; readonly roleName: string; readonly publicKey: SshPublicKey },
): string {
  if (asked !== '') {
    if (!role.allowUserKeyIds) throw refused('setting key_id is not allowed by role');
    return checkedText(asked, 'key_id');
  }
  const { displayName, roleName, publicKey } = facts;
  const usual =
    displayName === '' ? 'vault-{{public_key_hash}}' : 'vault-{{token_display_name}}-{{public_key_hash}}';
  const values: Readonly<Record<string, string>> = {
    token_display_name: displayName,
    role_name: roleName,
    public_key_hash: hex(sha256(publicKey.blob)),
  };
  // In one pass: a display name that looks like a template must not be filled in.
  const id = (role.keyIdFormat || usual).replace(
    /\{\{(token_display_name|role_name|public_key_hash)\}\}/g,
    (_, name: string) => values[name] ?? '',
  );
  return checkedText(id, 'the key id');
}

/** Names under which a role may list a kind of key; under the last ones of a curve its size needs no telling. */
const FAMILIES: Readonly<Record<SshPublicKey['family'], readonly string[]>> = {
  rsa: ['rsa', 'ssh-rsa'],
  ecdsa: ['ecdsa', 'ec'],
  ed25519: ['ed25519', 'ssh-ed25519'],
  'sk-ecdsa': ['sk-ecdsa-sha2-nistp256@openssh.com'],
  'sk-ed25519': ['sk-ssh-ed25519@openssh.com'],
};

/** Whether a key that was brought along is of a kind and size that the role takes. @throws Failure ssh.request */
export function checkKey(role: CaRole, { family, bits, type }: SshPublicKey): void {
  if (Object.keys(role.keyLengths).length === 0) return;
  const unmet = (reason: string) => refused(`public_key failed to meet the key requirements: ${reason}`);
  const names = [...FAMILIES[family], type];
  const listed = [...new Set(names)].filter((name) => Object.hasOwn(role.keyLengths, name));
  if (listed.length === 0) throw unmet(`key of type ${family} is not allowed`);
  const isSized = (name: string): boolean => family === 'rsa' || name === 'ecdsa' || name === 'ec';
  const fits = listed.some((name) =>
    (role.keyLengths[name] ?? []).some((length) => !isSized(name) || length === bits),
  );
  if (!fits) throw unmet(`key is of an invalid size: ${bits}`);
}

const DEFAULT_RSA_BITS = 4096;
const RSA_BITS = { least: 2048, most: 8192 };

/** The kind of key that a name and a size ask for, 0 being the usual one. @throws Failure ssh.request */
export function kindOf(type: string, bits: number): KeyKind {
  if (type === 'rsa' || type === 'ssh-rsa') {
    const size = bits || DEFAULT_RSA_BITS;
    if (size < RSA_BITS.least)
      throw refused(`refusing to generate weak ${type} key: ${size} bits < ${RSA_BITS.least} bits`);
    if (size > RSA_BITS.most || size % 8 !== 0)
      throw refused(`key_bits of RSA must be a multiple of 8, and at most ${RSA_BITS.most}`);
    return { type: 'rsa', bits: size };
  }
  if (type === 'ed25519' || type === 'ssh-ed25519') return { type: 'ed25519', bits: 0 };
  const curve = CURVES.find(({ ssh, bits: size }) =>
    type === 'ec' ? size === (bits || 256) : type === `ecdsa-sha2-${ssh}`,
  );
  if (curve !== undefined) return { type: 'ec', bits: curve.bits };
  if (type === 'ec') throw refused(`unknown ECDSA key pair algorithm and bits: ec / ${bits}`);
  throw refused(`unknown ssh key pair algorithm: ${shown(type)}`);
}

/** Whether the role lets a key of this kind be made for its callers. The size is compared as it was asked for. @throws Failure ssh.request */
export function checkIssued(role: CaRole, type: string, bits: number): void {
  if (Object.keys(role.keyLengths).length === 0) return;
  const family = Object.values(FAMILIES).find((names) => names.includes(type)) ?? [];
  const curve = CURVES.find((one) => family.includes('ec') && one.bits === bits);
  const names = curve === undefined ? family : [...family, `ecdsa-sha2-${curve.ssh}`];
  const listed = names.filter((name) => Object.hasOwn(role.keyLengths, name));
  if (listed.length === 0) throw refused('provided key_type value not in allowed_user_key_types');
  if (!listed.some((name) => role.keyLengths[name]?.includes(bits)))
    throw refused("provided key_bits value not in list of role's allowed_user_key_types");
}
