/** PGP public keys of files, in the base64 that the API takes. What lies in them is the server's to judge. */

import { readFile } from 'node:fs/promises';
import { failure } from '../../base/errors.ts';

/** Reads the files of a flag, separated by commas. @throws Failure cli.unreadable, cli.usage */
export const pgpKeysOf = (flag: string | undefined): Promise<string[]> =>
  Promise.all((flag ?? '').split(',').flatMap((file) => (file.trim() === '' ? [] : [pgpKeyOf(file.trim())])));

/** Reads one key: binary, base64, or armoured (RFC 9580, section 6.2). @throws Failure cli.unreadable, cli.usage */
export async function pgpKeyOf(file: string): Promise<string> {
  if (file.startsWith('keybase:'))
    throw failure('cli.usage', {
      reason: `${file} is a name at Keybase, which is not asked: give the file that holds the key`,
    });
  const bytes = await readFile(file.replace(/^@/, '')).catch(() => {
    throw failure('cli.unreadable', { path: file });
  });
  return keyText(bytes);
}

/** The base64 of a key in any of its three forms. */
export function keyText(bytes: Buffer): string {
  const text = bytes.toString('latin1').trim();
  const armoured = /^-----BEGIN PGP [A-Z ]+-----([\s\S]*?)-----END PGP/.exec(text);
  // After the headers and a blank line comes the body; a line that begins with "=" is the checksum.
  if (armoured !== null)
    return (armoured[1] ?? '')
      .replace(/\r/g, '')
      .replace(/^[\s\S]*?\n\n/, '')
      .split('\n')
      .filter((line) => !line.startsWith('='))
      .join('');
  const compact = text.replace(/\s+/g, '');
  return /^[A-Za-z0-9+/]+={0,2}$/.test(compact) ? compact : bytes.toString('base64');
}
