/** The options of an audit device, read from the texts that clients give, and the form in which a device is kept. */

import { z } from 'zod';
import { textOf } from '../../base/bytes.ts';
import { parseDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import type { LineOptions } from './line.ts';
import type { LinkTarget } from './link.ts';
import { FACILITIES, LOCAL_SYSLOG } from './syslog.ts';

/** Where the lines of a device go. */
export type Target =
  /** `mode` absent: the file keeps the one that it has. */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly mode: number | undefined;
      readonly fsync: boolean;
    }
  | { readonly kind: 'stdout' }
  /** Takes every line and keeps none. */
  | { readonly kind: 'discard' }
  | { readonly kind: 'socket'; readonly link: LinkTarget; readonly timeoutMs: number }
  | {
      readonly kind: 'syslog';
      readonly link: LinkTarget;
      readonly timeoutMs: number;
      readonly facility: number;
      readonly tag: string;
    };

export interface DeviceSettings extends LineOptions {
  readonly prefix: string;
  readonly target: Target;
  /** Enabled only once it took a line. */
  readonly tested: boolean;
}

type Options = Readonly<Record<string, string>>;
const bad = (reason: string) => failure('audit.bad_option', { reason });

/** @throws Failure audit.unknown_type, audit.bad_option */
export function readSettings(config: { readonly type: string; readonly options: Options }): DeviceSettings {
  const { type, options } = config;
  const kind = own(KINDS, type);
  if (kind === undefined) throw failure('audit.unknown_type', { type });
  const known = [...kind.keys, ...COMMON];
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw bad(`the option "${unknown}" is not known; known are ${known.join(', ')}`);
  const format = options['format'] ?? 'json';
  if (format !== 'json') throw bad(`the format "${format}" is not offered: leave it out, or write json`);
  const prefix = options['prefix'] ?? '';
  // The first brace of a line is where its chained part begins.
  if (/[{\n\r]/.test(prefix)) throw bad('prefix may not hold "{" or a line break');
  const target = kind.read(options);
  return {
    prefix,
    logRaw: flag(options, 'log_raw', false),
    hmacAccessor: flag(options, 'hmac_accessor', true),
    elideListResponses: flag(options, 'elide_list_responses', false),
    target,
    tested: 'link' in target && !flag(options, 'skip_test', false),
  };
}

const COMMON = ['format', 'prefix', 'log_raw', 'hmac_accessor', 'elide_list_responses', 'skip_test'];
const KINDS: Readonly<Record<string, { keys: readonly string[]; read(options: Options): Target }>> = {
  file: { keys: ['file_path', 'path', 'mode', 'fsync'], read: fileTarget },
  socket: { keys: ['address', 'socket_type', 'write_timeout'], read: socketTarget },
  syslog: { keys: ['facility', 'tag', 'address', 'socket_type', 'write_timeout'], read: syslogTarget },
};

function fileTarget(options: Options): Target {
  const path = options['file_path'] ?? options['path'] ?? '';
  if (path === '') throw bad('file_path is required');
  if (path.includes('\0')) throw bad('file_path holds a NUL');
  const mode = modeOf(options['mode'] ?? '0600');
  const fsync = flag(options, 'fsync', false);
  const word = path.toLowerCase();
  if (word === 'stdout' || word === 'discard') return { kind: word };
  return { kind: 'file', path, mode, fsync };
}

/** 0000 means: as it is. A trail is never made executable: a prefix could make a program of it. */
function modeOf(text: string): number | undefined {
  if (!/^0?[0-7]{3}$/.test(text)) throw bad('mode is not an octal number such as 0600');
  const mode = Number.parseInt(text, 8);
  return mode === 0 ? undefined : mode & 0o666;
}

function socketTarget(options: Options): Target {
  if ((options['address'] ?? '') === '') throw bad('address is required');
  return { kind: 'socket', link: linkOf(options), timeoutMs: timeoutOf(options) };
}

function syslogTarget(options: Options): Target {
  const name = (options['facility'] ?? 'AUTH').toUpperCase();
  const facility = FACILITIES.indexOf(name);
  if (name === '' || facility === -1)
    throw bad(
      `there is no facility "${name.slice(0, 20)}"; there are ${FACILITIES.filter(Boolean).join(', ')}`,
    );
  const tag = options['tag'] ?? 'vault';
  // RFC 5424, section 6: APP-NAME is at most 48 characters of printable ASCII.
  if (!/^[!-~]{1,48}$/.test(tag)) throw bad('tag is not 1 to 48 printable characters without a blank');
  const local: LinkTarget = { network: 'unix', path: LOCAL_SYSLOG };
  const link = (options['address'] ?? '') === '' ? local : linkOf(options);
  return { kind: 'syslog', link, timeoutMs: timeoutOf(options), facility, tag };
}

function linkOf(options: Options): LinkTarget {
  const address = options['address'] ?? '';
  const network = options['socket_type'] ?? 'tcp';
  if (network === 'unix') {
    // The system cuts longer ones, and would connect to another.
    if (!/^\/[^\0]*$/.test(address) || Buffer.byteLength(address) > 107)
      throw bad('address is not the path of a socket, beginning with "/" and at most 107 bytes long');
    return { network, path: address };
  }
  if (network !== 'tcp' && network !== 'udp')
    throw bad(`socket_type "${network.slice(0, 20)}" is not offered: write tcp, udp or unix`);
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:\s/@]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) throw bad('address is not HOST:PORT');
  return { network, host: match[1] ?? match[2] ?? '', port };
}

const LONGEST_TIMEOUT_MS = 60_000;

/** How long a write may take. A number alone is seconds. */
function timeoutOf(options: Options): number {
  let ms: number;
  try {
    ms = parseDuration(options['write_timeout'] ?? '2s');
  } catch {
    throw bad('write_timeout is not a duration such as 2s');
  }
  if (ms <= 0 || ms > LONGEST_TIMEOUT_MS) throw bad('write_timeout is not between 1ms and 60s');
  return ms;
}

function flag(options: Options, key: string, otherwise: boolean): boolean {
  const text = (options[key] ?? String(otherwise)).toLowerCase();
  if (['1', 't', 'true'].includes(text)) return true;
  if (['0', 'f', 'false'].includes(text)) return false;
  throw bad(`${key} is not true or false`);
}

const kept = z.object({
  type: z.string(),
  description: z.string(),
  options: z.record(z.string(), z.string()),
  local: z.boolean(),
  salt: z.string().min(32),
});
export type KeptDevice = z.infer<typeof kept>;

/** Reads what was stored. It opened under the barrier's key, so anything else is our own fault. */
export const keptDevice = (bytes: Uint8Array): KeptDevice => kept.parse(JSON.parse(textOf(bytes) ?? 'null'));
