import { expect, test } from 'vitest';
import { keyText, pgpKeyOf } from './pgp.ts';

const KEY = Buffer.from([0x99, 0x01, 0x0d, 0x04, 0x00, 0xff, 0x80]);
const TEXT = KEY.toString('base64');

test.each([
  ['binary', KEY],
  ['base64 over two lines', Buffer.from(`${TEXT.slice(0, 4)}\n${TEXT.slice(4)}\n`)],
  [
    'armoured, with headers and a checksum',
    Buffer.from(
      `-----BEGIN PGP PUBLIC KEY BLOCK-----\r\nVersion: 1\r\n\r\n${TEXT.slice(0, 4)}\r\n${TEXT.slice(4)}\r\n=abcd\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n`,
    ),
  ],
])('a key that is %s is sent as base64', (_, bytes) => expect(keyText(bytes)).toBe(TEXT));

test('a name at Keybase is not looked up', async () => {
  await expect(pgpKeyOf('keybase:somebody')).rejects.toMatchObject({
    code: 'cli.usage',
    message: expect.stringContaining('Keybase'),
  });
});
