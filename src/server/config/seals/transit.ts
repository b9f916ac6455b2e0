/** `seal "transit"`: a key in the transit engine of another server. */

import type { Failure } from '../../../base/errors.ts';
import type { Fields } from './fields.ts';

export interface TransitSettings {
  readonly kind: 'transit';
  /** Scheme, host, port and perhaps a path, without a slash at the end. */
  readonly address: string;
  /** Empty where something on the way adds one. */
  readonly token: string;
  readonly keyName: string;
  /** Without slashes at its ends, and so the namespace. */
  readonly mountPath: string;
  readonly namespace: string;
  /** Whether the token is renewed here. */
  readonly renew: boolean;
  /** Paths of PEM files. */
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    readonly serverName: string | undefined;
    readonly skipVerify: boolean;
  };
}

export const TRANSIT_KEYS: readonly string[] = [
  'address',
  'token',
  'key_name',
  'mount_path',
  'namespace',
  'disable_renewal',
  'tls_ca_cert',
  'tls_client_cert',
  'tls_client_key',
  'tls_server_name',
  'tls_skip_verify',
];

/** @param notes takes what the person who wrote the file should know. @throws Failure config.invalid */
export function readTransit(fields: Fields, notes: string[]): TransitSettings {
  /** The variables of the seal stand above the file, those that every client knows below it. */
  const own = (name: string): readonly string[] => [`TRANSIT_WRAPPER_${name}`, `VAULT_TRANSIT_SEAL_${name}`];
  const common = (name: string): readonly string[] => [`BAO_${name}`, `VAULT_${name}`];

  const address = addressOf(fields.text('address', own('ADDR'), common('ADDR')), fields);
  const token = fields.text('token', own('TOKEN'), common('TOKEN'));
  const skipVerify = fields.truth('tls_skip_verify', [], common('SKIP_VERIFY'));
  const cert = fields.text('tls_client_cert', [], common('CLIENT_CERT'));
  const key = fields.text('tls_client_key', [], common('CLIENT_KEY'));
  if ((cert === '') !== (key === ''))
    throw fields.refused(
      `has no ${cert === '' ? 'tls_client_cert' : 'tls_client_key'}`,
      'Name both files, or none.',
    );
  if (skipVerify)
    notes.push('seal "transit" does not verify whom it gives the root key to: tls_skip_verify is set.');
  if (/^http:/.test(address) && !/^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/.test(address))
    notes.push('seal "transit" sends the root key and its token in the clear: its address is http.');
  if (token === '') notes.push('seal "transit" has no token: something on the way has to add one.');
  const mountPath = fields.text('mount_path', own('MOUNT_PATH')).replace(/^\/+|\/+$/g, '');
  if (mountPath === '')
    throw fields.refused(
      'has no mount_path',
      'Write mount_path = "transit/", or where that engine is mounted.',
    );
  return {
    kind: 'transit',
    address,
    token,
    keyName: fields.required('key_name', 'Name the key of the transit engine.', own('KEY_NAME')),
    mountPath,
    namespace: fields.text('namespace', common('NAMESPACE')).replace(/^\/+|\/+$/g, ''),
    renew: token !== '' && !fields.truth('disable_renewal', own('DISABLE_RENEWAL')),
    tls: {
      ca: fields.text('tls_ca_cert', [], common('CACERT')) || undefined,
      cert: cert || undefined,
      key: key || undefined,
      serverName: fields.text('tls_server_name', [], common('TLS_SERVER_NAME')) || undefined,
      skipVerify,
    },
  };
}

function addressOf(text: string, fields: Fields): string {
  try {
    const { protocol, username, password, origin, pathname, search, hash } = new URL(text);
    if (/^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === ''))
      return origin + pathname.replace(/\/+$/, '');
  } catch {
    // Told below: the parser quotes what it read, which may hold a password.
  }
  throw noAddress(fields);
}

const noAddress = (fields: Fields): Failure =>
  fields.refused(
    'has no address of a server',
    'Write address = "https://vault.example.com:8200": the server whose transit engine keeps the key.',
  );
