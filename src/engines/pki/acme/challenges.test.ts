/** Challenges, looked at without a server: what counts as met, and what an attacker's answer is worth. */

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../base/errors.ts';
import { signCertificate } from '../../../crypto/x509/certificate.ts';
import { octets } from '../../../crypto/x509/der.ts';
import { alternativeNames, basicConstraints, extensionOf } from '../../../crypto/x509/extensions.ts';
import { signerOf, spkiOf } from '../../../crypto/x509/keytype.ts';
import { encodeName, type Names, NO_NAMES, NO_SUBJECT } from '../../../crypto/x509/name.ts';
import { ACME_IDENTIFIER, type Asked, check, faultOf, keyAuthorization, type World } from './challenges.ts';
import type { Probes } from './probes.ts';
import type { AcmeError } from './problem.ts';
import { ecKey } from './testing.ts';

const asked = (type: Asked['type'], value = 'a.example.com'): Asked => ({
  type,
  identifier: { type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value },
  token: 'token-of-the-challenge',
  thumbprint: 'thumbprint-of-the-account',
});
const digest = (one: Asked): Buffer => createHash('sha256').update(keyAuthorization(one)).digest();

const nobody: Probes = {
  texts: () => Promise.reject(new Error('not asked for')),
  addresses: () => Promise.reject(new Error('not asked for')),
  handshake: () => Promise.reject(new Error('not asked for')),
};
const world = (more: Partial<World>): World => ({
  dial: () => Promise.reject(new Error('not asked for')),
  probes: nobody,
  resolver: '',
  ...more,
});
const outcome = (one: Asked, more: Partial<World>): Promise<string> =>
  check(one, world(more)).then(
    () => 'met',
    (error: AcmeError) => `${error.type}: ${error.message}`,
  );

describe('over HTTP', () => {
  const answering = (status: number, body: string | Uint8Array) => ({
    dial: async () => ({ status, body: typeof body === 'string' ? Buffer.from(body) : body }),
  });
  const right = keyAuthorization(asked('http-01'));

  test.each([right, `${right}\n`, `${right}\r\n \t\n`])('%j meets it', async (body) => {
    expect(await outcome(asked('http-01'), answering(200, body))).toBe('met');
  });

  test.each([
    ['', 200],
    [` ${right}`, 200],
    [right.slice(0, -1), 200],
    [`${right}x`, 200],
    [`${right}\n${right}`, 200],
    [right.toUpperCase(), 200],
    ['token-of-the-challenge.thumbprint-of-another', 200],
    [right + ' '.repeat(600), 200],
    [right, 201],
    [right, 302],
    [right, 404],
    [Buffer.from([0xff, 0xfe]), 200],
  ])('%j with status %d does not', async (body, status) => {
    const told = await outcome(asked('http-01'), answering(status, body));
    expect(told).toMatch(/^incorrectResponse: http-01/);
    expect(told).not.toContain('thumbprint-of');
  });

  test('an address is asked as it stands, and a name by the address that its own name server tells', async () => {
    const seen: unknown[] = [];
    const dial: World['dial'] = async ({ url, headers, method }) => {
      seen.push([method, url, headers]);
      return { status: 200, body: Buffer.from(right) };
    };
    const path = '/.well-known/acme-challenge/token-of-the-challenge';
    await outcome(asked('http-01', '2001:db8::1'), { dial });
    const probes = { ...nobody, addresses: async () => ['2001:db8::2'] };
    await outcome(asked('http-01'), { dial, probes, resolver: '192.0.2.1:53' });
    expect(seen).toEqual([
      ['GET', `http://[2001:db8::1]${path}`, undefined],
      ['GET', `http://[2001:db8::2]${path}`, { host: 'a.example.com' }],
    ]);
  });

  test('what the server may not reach is told as such', async () => {
    const dial = () => Promise.reject(failure('dial.refused', { host: 'a.example.com', port: 80 }));
    expect(await outcome(asked('http-01'), { dial })).toMatch(/^connection: .*not on the list/);
  });
});

describe('in the DNS', () => {
  const holding = (...records: string[]) => ({ probes: { ...nobody, texts: async () => records } });
  const one = asked('dns-01');
  const right = digest(one).toString('base64url');

  test('one record among others meets it', async () => {
    expect(await outcome(one, holding('v=spf1', right))).toBe('met');
  });
  test.each([[[]], [['']], [[keyAuthorization(one)]], [[`${right}=`]], [[right.toLowerCase()]]])(
    '%j does not',
    async (records) => {
      expect(await outcome(one, holding(...records))).toMatch(/^incorrectResponse: dns-01/);
    },
  );
  test('is looked for under its own name', async () => {
    const names: string[] = [];
    const texts = async (name: string) => {
      names.push(name);
      return [right];
    };
    await outcome(one, { probes: { ...nobody, texts } });
    expect(names).toEqual(['_acme-challenge.a.example.com']);
  });
  test('where no DNS can be asked, it is said so', async () => {
    expect(await outcome(one, { probes: undefined })).toMatch(/^serverInternal: dns-01 is not available/);
  });
});

describe('in a TLS handshake', () => {
  const one = asked('tls-alpn-01');
  const proof = (value: Uint8Array, critical = true) =>
    extensionOf(ACME_IDENTIFIER, { critical, value: octets(value) });
  function certificate(
    extensions: Buffer[],
    {
      names = {},
      issuer = 'a',
      subject = 'a',
    }: { names?: Partial<Names>; issuer?: string; subject?: string } = {},
    signer = ecKey(),
    key = signer,
  ): Buffer {
    const now = Date.UTC(2026, 0, 1);
    const name = (text: string) => encodeName({ ...NO_SUBJECT, commonName: [text] });
    const sans = alternativeNames({ ...NO_NAMES, dns: ['a.example.com'], ...names }, false);
    return signCertificate(
      {
        serial: Buffer.from([1]),
        issuer: name(issuer),
        subject: name(subject),
        spki: spkiOf(key),
        notBefore: now,
        notAfter: now + 1000,
        extensions: [sans, ...extensions],
      },
      signerOf(signer),
    );
  }

  test('the digest in a critical extension of a self-signed certificate meets it, in any case of the name', () => {
    expect(faultOf(certificate([proof(digest(one))]), one)).toBeUndefined();
    const upper = certificate([proof(digest(one)), basicConstraints(false)], {
      names: { dns: ['A.Example.COM'] },
    });
    expect(faultOf(upper, one)).toBeUndefined();
  });

  test.each<[string, () => Uint8Array, RegExp]>([
    ['no extension', () => certificate([]), /no acmeIdentifier/],
    ['one that is not critical', () => certificate([proof(digest(one), false)]), /must be critical/],
    [
      'the digest for another token',
      () => certificate([proof(digest({ ...one, token: 'x' }))]),
      /does not hold/,
    ],
    ['a digest that is cut', () => certificate([proof(digest(one).subarray(1))]), /does not hold/],
    ['another name', () => certificate([proof(digest(one))], { names: { dns: ['b.example.com'] } }), /alone/],
    [
      'a second name',
      () => certificate([proof(digest(one))], { names: { dns: ['a.example.com', 'b.example.com'] } }),
      /alone/,
    ],
    [
      'an address beside it',
      () => certificate([proof(digest(one))], { names: { ips: ['10.0.0.1'] } }),
      /alone/,
    ],
    ['another issuer', () => certificate([proof(digest(one))], { issuer: 'b' }), /not self-signed/],
    [
      "somebody else's signature",
      () => certificate([proof(digest(one))], {}, ecKey(), ecKey()),
      /not self-signed/,
    ],
    [
      'an unknown critical extension',
      () =>
        certificate([
          proof(digest(one)),
          extensionOf('1.2.3.4', { critical: true, value: Buffer.from([5, 0]) }),
        ]),
      /not understood/,
    ],
    ['two of the extension', () => certificate([proof(digest(one)), proof(digest(one))]), /malformed/],
    ['no certificate', () => new Uint8Array(), /malformed/],
  ])('%s does not', (_what, made, why) => {
    expect(faultOf(made(), one)).toMatch(why);
  });

  test('another protocol does not, whatever the certificate', async () => {
    const handshake = async () => ({ protocol: 'h2', certificate: certificate([proof(digest(one))]) });
    expect(await outcome(one, { probes: { ...nobody, handshake } })).toMatch(/did not agree/);
    const agreed = async () => ({ protocol: 'acme-tls/1', certificate: certificate([proof(digest(one))]) });
    expect(await outcome(one, { probes: { ...nobody, handshake: agreed } })).toBe('met');
  });
});
