/**
 * `seal`: what opens the server when it starts. None, or `seal "shamir"`: people do, with key shares. A second stanza, with
 * `disabled = "true"`, is the seal that the store is to be moved away from.
 * Source followed: the seal pages of Vault's documentation, and their environment variables.
 */

import { blocksOf, type HclBlock } from '../../base/hcl.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

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

export type SealSettings = TransitSettings;

export interface SealsSettings {
  /** Absent: key shares. */
  readonly active: SealSettings | undefined;
  readonly retired: SealSettings | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;
interface Read {
  readonly at: { readonly file: string; readonly line: number };
  readonly settings: SealSettings | undefined;
  readonly disabled: boolean;
}

const EXISTING = 'there are seal "transit" and seal "shamir"';
const MEND = 'Use seal "transit", or remove the stanza and unseal with `holdfast operator unseal`.';
/** Upstream's kinds of seal that are not here. */
const OTHERS = ['awskms', 'gcpckms', 'azurekeyvault', 'alicloudkms', 'ocikms', 'pkcs11', 'kmip', 'static'];
/** Of every seal; how often upstream asks its service whether it is well is not used here. */
const COMMON = [
  'disabled',
  'health_check_enabled',
  'health_check_timeout',
  'health_check_interval',
  'health_check_interval_unhealthy',
];
const TRANSIT_KEYS = [
  ...COMMON,
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

/**
 * The seals of all stanzas.
 * @param notes takes what the person who wrote the file should know
 * @throws Failure config.invalid
 */
export function readSeals(placed: readonly Placed[], env: Env, notes: string[]): SealsSettings {
  const read = placed.flatMap((item) =>
    blocksOf(item.item).map((block) => readSeal(item.file, block, env, notes)),
  );
  const second = (found: readonly Read[], reason: string, mend: string): void => {
    const extra = found[1];
    if (extra !== undefined) throw refusal(extra.at, reason, mend);
  };
  const active = read.filter(({ disabled }) => !disabled);
  const retired = read.filter(({ disabled }) => disabled);
  second(
    active,
    'two seals are to guard one store',
    'Keep one; to move away from the other, write disabled = "true" in it.',
  );
  second(retired, 'two seals are disabled', 'Keep the one that the store is under now.');
  const [to, from] = [active[0]?.settings, retired[0]?.settings];
  if (to !== undefined && to.kind === from?.kind)
    throw refusal(
      retired[0]?.at ?? { file: '', line: 0 },
      `a store is not moved from one seal "${to.kind}" to another in one step`,
      'Move it to key shares first: disable this seal, remove the other, and unseal with -migrate; then to the other.',
    );
  return { active: to, retired: from };
}

function readSeal(file: string, block: HclBlock, env: Env, notes: string[]): Read {
  const { label, items, line } = block;
  const at = { file, line };
  const name = `seal ${JSON.stringify(label.slice(0, 40))}`;
  const stanzaOf = (known: readonly string[]): Stanza =>
    new Stanza(
      name,
      items.map((item) => ({ file, item })),
      known,
    );
  if (label === 'shamir') {
    if (stanzaOf(COMMON).truth('disabled') === true)
      throw refusal(
        at,
        'Shamir seals cannot be set disabled (they should simply not be set)',
        'Remove the stanza.',
      );
    return { at, settings: undefined, disabled: false };
  }
  if (label !== 'transit')
    throw refusal(
      at,
      OTHERS.includes(label) ? `${name} is not built: ${EXISTING}` : `there is no ${name}: ${EXISTING}`,
      MEND,
    );
  const stanza = stanzaOf(TRANSIT_KEYS);
  return { at, settings: readTransit(stanza, at, env, notes), disabled: stanza.truth('disabled') === true };
}

function readTransit(stanza: Stanza, at: Read['at'], env: Env, notes: string[]): TransitSettings {
  /** The variables of the seal stand above the file, those that every client knows below it. */
  const text = (key: string, above: readonly string[], below: readonly string[] = []): string =>
    firstOf(env, above) || stanza.text(key) || firstOf(env, below);
  const required = (value: string, key: string, mend: string): string => {
    if (value !== '') return value;
    throw refusal(at, `seal "transit" has no ${key}`, mend);
  };
  const own = (name: string): readonly string[] => [`TRANSIT_WRAPPER_${name}`, `VAULT_TRANSIT_SEAL_${name}`];
  const common = (name: string): readonly string[] => [`BAO_${name}`, `VAULT_${name}`];

  const address = addressOf(text('address', own('ADDR'), common('ADDR')), at);
  const token = text('token', own('TOKEN'), common('TOKEN'));
  const renewal = firstOf(env, own('DISABLE_RENEWAL'));
  const skip = stanza.truth('tls_skip_verify') ?? /^(1|t|true)$/i.test(firstOf(env, common('SKIP_VERIFY')));
  const [cert, key] = [
    text('tls_client_cert', [], common('CLIENT_CERT')),
    text('tls_client_key', [], common('CLIENT_KEY')),
  ];
  if ((cert === '') !== (key === ''))
    throw refusal(
      at,
      `seal "transit" has no ${cert === '' ? 'tls_client_cert' : 'tls_client_key'}`,
      'Name both files, or none.',
    );
  if (skip)
    notes.push('seal "transit" does not verify whom it gives the root key to: tls_skip_verify is set.');
  if (/^http:/.test(address) && !/^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/.test(address))
    notes.push('seal "transit" sends the root key and its token in the clear: its address is http.');
  if (token === '') notes.push('seal "transit" has no token: something on the way has to add one.');
  return {
    kind: 'transit',
    address,
    token,
    keyName: required(text('key_name', own('KEY_NAME')), 'key_name', 'Name the key of the transit engine.'),
    mountPath: required(
      text('mount_path', own('MOUNT_PATH')).replace(/^\/+|\/+$/g, ''),
      'mount_path',
      'Write mount_path = "transit/", or where that engine is mounted.',
    ),
    namespace: text('namespace', common('NAMESPACE')).replace(/^\/+|\/+$/g, ''),
    renew:
      token !== '' && !(renewal === '' ? stanza.truth('disable_renewal') : /^(1|t|true)$/i.test(renewal)),
    tls: {
      ca: text('tls_ca_cert', [], common('CACERT')) || undefined,
      cert: cert || undefined,
      key: key || undefined,
      serverName: text('tls_server_name', [], common('TLS_SERVER_NAME')) || undefined,
      skipVerify: skip,
    },
  };
}

const firstOf = (env: Env, names: readonly string[]): string =>
  names.map((name) => env[name]).find((value) => value !== undefined && value !== '') ?? '';

function addressOf(text: string, at: Read['at']): string {
  try {
    const { protocol, username, password, origin, pathname, search, hash } = new URL(text);
    if (/^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === ''))
      return origin + pathname.replace(/\/+$/, '');
  } catch {
    // Told below: the parser quotes what it read, which may hold a password.
  }
  throw refusal(
    at,
    'seal "transit" has no address of a server',
    'Write address = "https://vault.example.com:8200": the server whose transit engine keeps the key.',
  );
}
