/**
 * The configuration file of `holdfast server`, in the words of Vault's: what is the same keeps its name, what is not there is
 * refused or told, and never silently left out. Pure: it reads texts, and opens nothing that they name.
 * Source followed: the configuration pages of Vault's documentation.
 */

import { type Failure, failure, isFailure } from '../../base/errors.ts';
import { blocksOf, parseHcl } from '../../base/hcl.ts';
import { own } from '../../base/own.ts';
import { type BackupSettings, readBackups } from './backup.ts';
import { type EgressRule, egressRule } from './egress.ts';
import { type ListenerSettings, readListeners } from './listener.ts';
import { type LockoutSettings, readLockouts } from './lockout.ts';
import { readSeals, type SealsSettings } from './seal.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';
import { readStorage, type StorageSettings } from './storage.ts';
import { readTelemetry } from './telemetry.ts';

export interface Registration {
  readonly namespace: string | undefined;
  readonly pod: string | undefined;
}

export interface ServerConfig {
  readonly listeners: readonly ListenerSettings[];
  readonly storage: StorageSettings;
  readonly seals: SealsSettings;
  readonly backups: readonly BackupSettings[];
  /** Present where the pod's labels tell the state of the server. */
  readonly registration: Registration | undefined;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** The URLs that clients and other nodes reach it by; empty where nobody said. */
  readonly apiAddress: string;
  readonly clusterAddress: string;
  /** Nodes send clients to the leader instead of asking it for them. */
  readonly disableClustering: boolean;
  /** By the type of the auth method. */
  readonly lockout: ReadonlyMap<string, LockoutSettings>;
  readonly egress: {
    readonly rules: readonly EgressRule[];
    /** Unix sockets that audit devices may connect to. */
    readonly sockets: readonly string[];
    /** Whether the API server of the cluster that this runs in may be reached. */
    readonly cluster: boolean;
  };
  /** Milliseconds. */
  readonly ttl: { readonly defaultMs: number; readonly maxMs: number };
  readonly pidFile: string | undefined;
  /** How many threads answer: the one that writes, and readers beside it. */
  readonly threads: number;
  /** What the person who wrote the file should know: settings that mean less, or something else, here. */
  readonly notes: readonly string[];
}

export interface ConfigText {
  readonly name: string;
  readonly text: string;
}

/** Accepted, with a word where it is said to matter. Each would change nothing here, or nothing that is unsafe to leave. */
const TOLD: Readonly<Record<string, string>> = {
  disable_mlock: '',
  disable_cache: '',
  disable_sealwrap: '',
  disable_printable_check: '',
  disable_performance_standby: '',
  cluster_name: '',
  log_format: 'The log is JSON, one line each, on standard output: log_format is not used.',
  log_file: 'The log goes to standard output: log_file is not used.',
  log_rotate_duration: '',
  log_rotate_bytes: '',
  log_rotate_max_files: '',
  plugin_directory: 'plugin_directory is not used: programs of others are not run in this process.',
  default_max_request_duration: 'default_max_request_duration is not used: a request may take 90 seconds.',
  raw_storage_endpoint: '',
  introspection_endpoint: '',
  enable_response_header_hostname: '',
  enable_response_header_raft_node_id: '',
};
const KEYS = [
  'listener',
  'storage',
  'backend',
  'seal',
  'backup',
  'service_registration',
  'ui',
  'api_addr',
  'cluster_addr',
  'disable_clustering',
  'ha_storage',
  'telemetry',
  'user_lockout',
  'log_level',
  'pid_file',
  'threads',
  'default_lease_ttl',
  'max_lease_ttl',
  'egress',
  ...Object.keys(TOLD),
];
const LEVELS: Readonly<Record<string, ServerConfig['logLevel']>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  notice: 'info',
  warn: 'warn',
  warning: 'warn',
  err: 'error',
  error: 'error',
};

/**
 * Reads the files as one configuration; a setting may stand in any of them, once.
 * @param env VAULT_API_ADDR, VAULT_CLUSTER_ADDR, VAULT_LOG_LEVEL and VAULT_DISABLE_USER_LOCKOUT stand above the file, as in
 *   Vault, and so do their names that begin with BAO_
 * @throws Failure config.invalid, config.refused; hcl.* never leaves here
 */
export function readServerConfig(
  files: readonly ConfigText[],
  env: Readonly<Record<string, string | undefined>>,
): ServerConfig {
  const placed = files.flatMap(itemsOf);
  const top = new Stanza('', placed, KEYS, ['listener', 'user_lockout', 'seal', 'backup']);
  const notes: string[] = [];

  const listeners = top.all('listener').flatMap((item) => told(item, () => readListeners(item, notes)));
  const storageItem = top.one('storage') ?? top.one('backend');
  if (top.has('storage') && top.has('backend')) throw twice(top.one('backend'));
  if (storageItem === undefined)
    throw failure('config.refused', {
      reason: 'the configuration names no storage',
      mend: 'Write storage "lmdb" { path = "/var/lib/holdfast" }.',
    });
  const ha = top.one('ha_storage');
  if (ha !== undefined)
    throw refusal(
      { file: ha.file, line: ha.item.line },
      'ha_storage is not offered: who leads is kept where the data is, or the two could disagree',
      'Remove it: with storage "postgresql" several nodes share the store, and one of them leads.',
    );
  const storage = told(storageItem, () => readStorage(storageItem, notes, env));
  if (listeners.length === 0)
    throw failure('config.refused', {
      reason: 'the configuration names no listener',
      mend: 'Write listener "tcp" { address = "127.0.0.1:8200" tls_cert_file = "..." tls_key_file = "..." }.',
    });
  const telemetry = top.one('telemetry');
  if (telemetry !== undefined) told(telemetry, () => readTelemetry(top, notes));
  for (const item of [...top.all('seal'), ...top.all('backup')]) told(item, () => blocksOf(item.item));
  const seals = readSeals(top.all('seal'), env, notes);
  const registered = top.one('service_registration');
  const registration = registered && told(registered, () => readRegistration(registered));

  for (const [key, note] of Object.entries(TOLD)) if (note !== '' && top.has(key)) notes.push(note);
  if (top.truth('ui') === true)
    notes.push('ui = true is read, and no console is served yet: the API and the command line are.');
  for (const key of ['raw_storage_endpoint', 'introspection_endpoint'])
    if (top.truth(key) === true) notes.push(`${key} is not offered: nobody reads around the policies.`);

  return {
    listeners,
    storage,
    seals,
    backups: readBackups(top.all('backup'), env, notes),
    registration,
    logLevel: levelOf(top, env),
    apiAddress: urlOf('api_addr', top, env),
    clusterAddress: urlOf('cluster_addr', top, env),
    disableClustering: top.truth('disable_clustering') ?? false,
    lockout: readLockouts(top.all('user_lockout'), env),
    egress: egressOf(top),
    ttl: ttlOf(top),
    pidFile: top.text('pid_file') || undefined,
    threads: threadsOf(top, storage, env),
    notes: [...new Set(notes)],
  };
}

function itemsOf({ name, text }: ConfigText): Placed[] {
  try {
    return parseHcl(text).map((item) => ({ file: name, item }));
  } catch (error) {
    throw isFailure(error) ? unreadable(name, error) : error;
  }
}

/** What the reader of blocks refuses is told with the file that it stands in. */
function told<T>({ file }: Placed, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw isFailure(error, 'hcl.malformed') ? unreadable(file, error) : error;
  }
}

const unreadable = (file: string, error: Failure): Failure =>
  failure('config.unreadable', { file, reason: error.message, mend: error.hint ?? '' });

const twice = (item: Placed | undefined) =>
  refusal(
    { file: item?.file ?? '', line: item?.item.line ?? 0 },
    '"backend" is another word for "storage", which is given as well',
    'Keep one of them.',
  );

function readRegistration(placed: Placed): Registration {
  const [block, second] = blocksOf(placed.item);
  const { file } = placed;
  if (block === undefined || second !== undefined || block.label !== 'kubernetes')
    throw refusal(
      { file, line: placed.item.line },
      `there is no service_registration ${JSON.stringify((second ?? block)?.label.slice(0, 40) ?? '')}`,
      'Write service_registration "kubernetes" {}, or remove it.',
    );
  const items = block.items.map((item) => ({ file, item }));
  const stanza = new Stanza('service_registration "kubernetes"', items, ['namespace', 'pod_name']);
  return { namespace: stanza.text('namespace') || undefined, pod: stanza.text('pod_name') || undefined };
}

function levelOf(top: Stanza, env: Readonly<Record<string, string | undefined>>): ServerConfig['logLevel'] {
  const text = (env['VAULT_LOG_LEVEL'] || top.text('log_level') || 'info').toLowerCase();
  const level = own(LEVELS, text);
  if (level !== undefined) return level;
  throw failure('config.refused', {
    reason: `there is no log level ${JSON.stringify(text.slice(0, 40))}`,
    mend: 'Write debug, info, warn or error.',
  });
}

const MOST_THREADS = 64;

/** One where nobody says otherwise. Readers are beside an LMDB store alone: others have nodes for that. */
function threadsOf(
  top: Stanza,
  storage: StorageSettings,
  env: Readonly<Record<string, string | undefined>>,
): number {
  const text = env['HOLDFAST_THREADS'];
  const threads = text ? (/^\d+$/.test(text) ? Number(text) : 0) : Number(top.text('threads') ?? 1);
  if (threads < 1 || threads > MOST_THREADS)
    throw failure('config.refused', {
      reason: `threads is none of the numbers from 1 to ${MOST_THREADS}`,
      mend: 'Write threads = 2, or leave it out for one thread.',
    });
  if (threads > 1 && storage.kind !== 'lmdb')
    throw failure('config.refused', {
      reason: 'more than one thread needs storage "lmdb"',
      mend: 'Remove threads; with storage "postgresql" several nodes answer.',
    });
  return threads;
}

const SYSTEM_TTL = 768 * 3_600_000;

/** 0 means what it means where nothing is written. */
function ttlOf(top: Stanza): ServerConfig['ttl'] {
  const maxMs = top.duration('max_lease_ttl') || SYSTEM_TTL;
  const given = top.duration('default_lease_ttl');
  if (given !== undefined && given > maxMs) {
    const at = top.one('default_lease_ttl');
    throw refusal(
      { file: at?.file ?? '', line: at?.item.line ?? 0 },
      'default_lease_ttl is longer than max_lease_ttl',
      'Raise max_lease_ttl, which is 768h where it is not written, or lower the other.',
    );
  }
  return { defaultMs: given || Math.min(SYSTEM_TTL, maxMs), maxMs };
}

/** A URL of this node; the environment stands above the file. */
function urlOf(
  key: 'api_addr' | 'cluster_addr',
  top: Stanza,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const name = key.toUpperCase();
  const text = env[`VAULT_${name}`] || env[`BAO_${name}`] || top.text(key) || '';
  if (text === '') return '';
  try {
    const { protocol, username, password } = new URL(text);
    if (/^https?:$/.test(protocol) && username === '' && password === '') return text;
  } catch {
    // Told below: the parser quotes what it read, which may hold a password.
  }
  throw failure('config.refused', {
    reason: `${key} is not the URL of a server`,
    mend: `Write ${key} (or VAULT_${name}) as https://vault.example.com:${key === 'api_addr' ? 8200 : 8201}.`,
  });
}

function egressOf(top: Stanza): ServerConfig['egress'] {
  const stanza = top.block('egress', ['allow', 'cluster']);
  const rules: EgressRule[] = [];
  const sockets: string[] = [];
  for (const given of stanza?.texts('allow') ?? []) {
    const rule = egressRule(given.text);
    const [, socket] = /^unix:(\/[^\0]+)$/.exec(given.text) ?? [];
    if (rule !== undefined) rules.push(rule);
    else if (socket !== undefined) sockets.push(socket);
    else
      throw refusal(
        given,
        `${JSON.stringify(given.text.slice(0, 80))} is not an address to allow`,
        'Write "HOST:PORT", "10.0.0.0/8:5432", "[fd00::/8]:5432" or "unix:/run/collector.sock".',
      );
  }
  return { rules, sockets, cluster: stanza?.truth('cluster') ?? true };
}
