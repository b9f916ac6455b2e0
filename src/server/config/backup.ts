/**
 * `backup "NAME" { ... }`: where backups go, when, and for how long they are kept. A directory, or a bucket:
 *
 *   backup "nightly" {
 *     schedule  = "0 3 * * *"
 *     directory = "/var/backups/holdfast"
 *     keep      = "720h"
 *   }
 */

import { type Cron, parseCron } from '../../base/cron.ts';
import { blocksOf, type HclBlock } from '../../base/hcl.ts';
import type { S3Settings } from '../backup/s3.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export interface BackupSettings {
  readonly name: string;
  /** Absent: only when somebody asks. */
  readonly schedule: { readonly text: string; readonly cron: Cron } | undefined;
  readonly keepMs: number;
  readonly place: { readonly directory: string } | BucketSettings;
}

export interface BucketSettings extends S3Settings {
  /** Path of a PEM file of the authorities to trust. */
  readonly ca: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;
interface At {
  readonly file: string;
  readonly line: number;
}

const KEYS = ['schedule', 'keep', 'directory', 's3'];
const S3_KEYS = [
  'bucket',
  'prefix',
  'region',
  'endpoint',
  'access_key',
  'secret_key',
  'session_token',
  'force_path_style',
  'tls_ca_cert',
  'server_side_encryption',
  'kms_key_id',
];
const NAME = /^[A-Za-z0-9][A-Za-z0-9_]{0,31}$/;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** 30 days. */
const KEEP_MS = 720 * 3_600_000;

/**
 * @param env AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION stand in where the file has none, so
 *   that the secret need not lie in it
 * @throws Failure config.invalid
 */
export function readBackups(placed: readonly Placed[], env: Env, notes: string[]): readonly BackupSettings[] {
  const read = placed.flatMap(({ file, item }) =>
    blocksOf(item).map((block) => readBackup(file, block, env, notes)),
  );
  for (const [index, { name, at }] of read.entries())
    if (read.findIndex((other) => other.name === name) !== index)
      throw refusal(at, `there are two backup ${JSON.stringify(name)}`, 'Give each a name of its own.');
  return read.map(({ at: _at, ...settings }) => settings);
}

function readBackup(file: string, block: HclBlock, env: Env, notes: string[]): BackupSettings & { at: At } {
  const { label: name, line } = block;
  const at = { file, line };
  if (!NAME.test(name))
    throw refusal(
      at,
      `${JSON.stringify(name.slice(0, 40))} is not a name for backups`,
      'Give it a name of letters, digits and _, 32 at most, such as backup "nightly" { ... }.',
    );
  const stanza = new Stanza(
    `backup "${name}"`,
    block.items.map((item) => ({ file, item })),
    KEYS,
  );
  const directory = stanza.text('directory') ?? '';
  const bucket = stanza.block('s3', S3_KEYS);
  if ((directory === '') === (bucket === undefined))
    throw refusal(
      at,
      `backup "${name}" has ${bucket === undefined ? 'no place' : 'two places'}`,
      'Write directory = "/var/backups/holdfast", or s3 { bucket = "..." region = "..." }: one of them.',
    );
  const keepMs = stanza.duration('keep') ?? KEEP_MS;
  if (keepMs < 3_600_000)
    throw refusal(at, `backup "${name}" keeps its backups for less than an hour`, 'Write keep = "720h".');
  const schedule = scheduleOf(stanza, at);
  if (schedule === undefined)
    notes.push(`backup "${name}" has no schedule: one is made when somebody runs holdfast backup create.`);
  const place = bucket === undefined ? { directory } : bucketOf(bucket, name, at, env, notes);
  return { name, schedule, keepMs, place, at };
}

function scheduleOf(stanza: Stanza, at: At): BackupSettings['schedule'] {
  const text = stanza.text('schedule') ?? '';
  if (text === '') return undefined;
  const cron = parseCron(text);
  if (cron !== undefined) return { text, cron };
  throw refusal(
    at,
    `${JSON.stringify(text.slice(0, 80))} is not a schedule`,
    'Write five fields, in UTC: schedule = "0 3 * * *", or "@daily".',
  );
}

function bucketOf(stanza: Stanza, name: string, at: At, env: Env, notes: string[]): BackupSettings['place'] {
  const text = (key: string, variable?: string): string =>
    stanza.text(key) || (variable === undefined ? '' : (env[variable] ?? '')) || '';
  const bucket = text('bucket');
  if (!BUCKET.test(bucket))
    throw refusal(at, `the s3 of backup "${name}" names no bucket`, 'Write bucket = "my-backups".');
  const region = text('region', 'AWS_REGION') || (env['AWS_DEFAULT_REGION'] ?? '');
  if (!REGION.test(region))
    throw refusal(
      at,
      `the s3 of backup "${name}" names no region`,
      'Write region = "eu-central-1"; services that know none take "us-east-1".',
    );
  const endpoint = endpointOf(text('endpoint'), name, at);
  if (
    endpoint?.startsWith('http://') &&
    !/^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/.test(endpoint)
  )
    notes.push(
      `backup "${name}" goes over plain http: its entries are sealed, and whoever listens can keep them.`,
    );
  const [accessKeyId, secretAccessKey] = [
    text('access_key', 'AWS_ACCESS_KEY_ID'),
    text('secret_key', 'AWS_SECRET_ACCESS_KEY'),
  ];
  if (accessKeyId === '' || secretAccessKey === '')
    throw refusal(
      at,
      `the s3 of backup "${name}" has no ${accessKeyId === '' ? 'access_key' : 'secret_key'}`,
      'Write access_key and secret_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    );
  const algorithm = text('server_side_encryption');
  if (algorithm !== '' && algorithm !== 'AES256' && algorithm !== 'aws:kms')
    throw refusal(
      at,
      `the s3 of backup "${name}" asks for an encryption that there is not`,
      'Write server_side_encryption = "AES256" or "aws:kms", or leave it out.',
    );
  return {
    bucket,
    prefix: prefixOf(text('prefix')),
    region,
    endpoint,
    // A server that is not AWS's is rarely reached under names of buckets.
    pathStyle: stanza.truth('force_path_style') ?? endpoint !== undefined,
    credentials: {
      accessKeyId,
      secretAccessKey,
      sessionToken: text('session_token', 'AWS_SESSION_TOKEN') || undefined,
    },
    encryption: algorithm === '' ? undefined : { algorithm, keyId: text('kms_key_id') || undefined },
    ca: text('tls_ca_cert') || undefined,
  };
}

const prefixOf = (text: string): string => {
  const plain = text.replace(/^\/+|\/+$/g, '');
  return plain === '' ? '' : `${plain}/`;
};

function endpointOf(text: string, name: string, at: At): string | undefined {
  if (text === '') return undefined;
  try {
    const { protocol, username, password, origin, pathname, search, hash } = new URL(text);
    if (/^https?:$/.test(protocol) && pathname === '/' && [username, password, search, hash].join('') === '')
      return origin;
  } catch {
    // Told below: the parser quotes what it read, which may hold a password.
  }
  throw refusal(
    at,
    `the endpoint of backup "${name}" is not the URL of a server`,
    'Write endpoint = "https://minio.example.com:9000", or leave it out for AWS.',
  );
}
