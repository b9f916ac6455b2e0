/** The options of an audit device, read from the texts that clients give, and the form in which a device is kept. */

import { z } from 'zod';
import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { LineOptions } from './line.ts';

export interface DeviceSettings extends LineOptions {
  readonly prefix: string;
  readonly file: { readonly path: string; readonly mode: number; readonly fsync: boolean };
}

/** @throws Failure audit.unknown_type, audit.bad_option */
export function readSettings(config: {
  readonly type: string;
  readonly options: Readonly<Record<string, string>>;
}): DeviceSettings {
  if (config.type !== 'file') throw failure('audit.unknown_type', { type: config.type });
  const bad = (reason: string) => failure('audit.bad_option', { reason });
  const { options } = config;
  const unknown = Object.keys(options).find((key) => !KNOWN.has(key));
  if (unknown !== undefined)
    throw bad(`the option "${unknown}" is not known; known are ${[...KNOWN].join(', ')}`);
  const path = options['file_path'] ?? options['path'] ?? '';
  if (path === '') throw bad('file_path is required');
  if (path.includes('\0')) throw bad('file_path holds a NUL');
  const format = options['format'] ?? 'json';
  if (format !== 'json') throw bad(`the format "${format}" is not known; json is`);
  const mode = options['mode'] ?? '0600';
  if (!/^0?[0-7]{3}$/.test(mode)) throw bad('mode is not an octal number such as 0600');
  const prefix = options['prefix'] ?? '';
  // The first brace of a line is where its chained part begins.
  if (/[{\n\r]/.test(prefix)) throw bad('prefix may not hold "{" or a line break');
  const flag = (key: string, otherwise: boolean): boolean => {
    const text = (options[key] ?? String(otherwise)).toLowerCase();
    if (['1', 't', 'true'].includes(text)) return true;
    if (['0', 'f', 'false'].includes(text)) return false;
    throw bad(`${key} is not true or false`);
  };
  return {
    prefix,
    logRaw: flag('log_raw', false),
    hmacAccessor: flag('hmac_accessor', true),
    elideListResponses: flag('elide_list_responses', false),
    file: { path, mode: Number.parseInt(mode, 8) || DEFAULT_MODE, fsync: flag('fsync', false) },
  };
}

/** Also for the mode 0000, by which upstream means: as it is. */
const DEFAULT_MODE = 0o600;

const KNOWN = new Set([
  'file_path',
  'path',
  'mode',
  'format',
  'prefix',
  'log_raw',
  'hmac_accessor',
  'elide_list_responses',
  'fsync',
]);

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
