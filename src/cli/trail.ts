/**
 * The files of an audit device as lines, one by one: a trail of months fits no memory. Files that were rotated are read in the
 * order of their first lines, whatever order a shell put their names in; those that were compressed are opened on the way.
 */

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { textOf } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import type { VaultClient } from '../client/client.ts';
import { isBag } from '../client/envelope.ts';

/** No line of a server is longer: what a request may carry, with room for all that is written about it. */
const LONGEST_LINE = 256 * 1024 * 1024;
const LINE_FEED = 10;
/** What a line becomes that is no UTF-8 or too long: no line of any server ends so. */
const BROKEN = '\0';

/** The lines of one file, without their line feeds. @throws Failure cli.unreadable */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  const finish = (): string => {
    const line = size > LONGEST_LINE ? BROKEN : decoded(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    parts = [];
    size = 0;
    return line;
  };
  const keep = (part: Buffer): void => {
    size += part.length;
    if (size > LONGEST_LINE) parts = [];
    else parts.push(part);
  };
  for await (const chunk of bytesOf(path)) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      yield finish();
    }
    if (start < chunk.length) keep(chunk.subarray(start));
  }
  if (size > 0) yield finish();
}

const decoded = (bytes: Buffer = Buffer.alloc(0)): string =>
  textOf(bytes) ?? `${bytes.toString('utf8')}${BROKEN}`;

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  try {
    const packed = await isGzip(path);
    const raw = createReadStream(path, { highWaterMark: 1024 * 1024 });
    let stream: Readable = raw;
    if (packed) {
      const unpacked = createGunzip();
      raw.on('error', (error) => unpacked.destroy(error));
      stream = raw.pipe(unpacked);
    }
    for await (const chunk of stream) yield chunk as Buffer;
  } catch {
    throw failure('cli.unreadable', { path });
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

/** The files in the order in which they were written. @throws Failure cli.unreadable */
export async function inOrder(paths: readonly string[]): Promise<readonly string[]> {
  const begun = await Promise.all(
    [...new Set(paths)].map(async (path) => ({ path, time: await firstTime(path) })),
  );
  // A file without a time holds nothing that was written before another.
  return begun.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ path }) => path);
}

const NO_TIME = '~';

async function firstTime(path: string): Promise<string> {
  for await (const line of linesOf(path)) {
    const time = entryOf(line)?.['time'];
    if (typeof time === 'string') return time;
  }
  return NO_TIME;
}

/** A line as an object, whatever a syslog daemon put before it; undefined where it is none. */
export function entryOf(line: string): Readonly<Record<string, unknown>> | undefined {
  const start = line.indexOf('{');
  if (start === -1) return undefined;
  try {
    const entry: unknown = JSON.parse(line.slice(start));
    return isBag(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** The file that a device of the server writes to, for who sits on the same machine. @throws Failure cli.usage */
export async function fileOfDevice(client: VaultClient, device: string): Promise<string> {
  const name = device.replace(/\/*$/, '/');
  const data = (await client.request('GET', 'sys/audit')).envelope?.data;
  const found = isBag(data) ? data[name] : undefined;
  const options = isBag(found) ? found['options'] : undefined;
  const path = isBag(options) ? (options['file_path'] ?? options['path']) : undefined;
  if (typeof path === 'string' && !/^(stdout|discard)$/i.test(path)) return path;
  throw failure('cli.usage', { reason: `the audit device ${name} writes to no file here: name its files` });
}
