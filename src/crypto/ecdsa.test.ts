/** Signatures that are the same each time: the published vectors of RFC 6979 appendix A.2. */

import { createECDH, createHash, createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { algorithmOf, type Ecdsa, type KeyType } from './algorithms.ts';
import { signHashAlike, toDer } from './ecdsa.ts';

const vectors: readonly {
  type: KeyType;
  digest: string;
  secret: string;
  message: string;
  r: string;
  s: string;
}[] = [
  {
    type: 'ecdsa-p256',
    digest: 'sha256',
    secret: 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721',
    message: 'sample',
    r: 'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716',
    s: 'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
  },
  {
    type: 'ecdsa-p256',
    digest: 'sha256',
    secret: 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721',
    message: 'test',
    r: 'F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367',
    s: '019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083',
  },
  {
    type: 'ecdsa-p384',
    digest: 'sha384',
    secret:
      '6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5',
    message: 'sample',
    r: '94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46',
    s: '99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8',
  },
  {
    type: 'ecdsa-p521',
    digest: 'sha512',
    secret:
      '00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538',
    message: 'sample',
    r: '00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA',
    s: '00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A',
  },
];

describe('a signature with the nonce of RFC 6979', () => {
  for (const { type, digest, secret, message, r, s } of vectors)
    test(`is the published one: ${type} of "${message}"`, () => {
      const algorithm = algorithmOf(type) as Ecdsa;
      const curve = createECDH(algorithm.curve);
      curve.setPrivateKey(Buffer.from(secret, 'hex'));
      const point = curve.getPublicKey();
      const half = (point.length - 1) / 2;
      const text = (bytes: Buffer): string => bytes.toString('base64url');
      const [x, y] = [text(point.subarray(1, 1 + half)), text(point.subarray(1 + half))];
      const jwk = { kty: 'EC', crv: algorithm.title, d: text(Buffer.from(secret, 'hex')), x, y };
      const key = createPrivateKey({ key: jwk, format: 'jwk' });
      const hash = createHash(digest).update(message).digest();
      const made = signHashAlike(algorithm, key, hash, digest);
      expect(made.toString('hex').toUpperCase()).toBe(r + s);
      expect(verify(digest, Buffer.from(message), createPublicKey(key), toDer(made))).toBe(true);
    });
});
