/** Functions of keys, certificates and key stores, as a user calls them: from template to text. What Go gives is held by the shared vectors. */

import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  X509Certificate,
} from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Failure, isFailure } from '../../base/errors.ts';
import { type Data, DEFAULT_FUEL, type Env, Keep, render } from '../index.ts';
import { beginning } from './authorities.ts';

/** Bytes that follow from a number alone. */
function streamOf(start: number): (count: number) => Uint8Array {
  let block = 0;
  return (count) => {
    const parts: Buffer[] = [];
    for (let have = 0; have < count; have += 32)
      parts.push(createHash('sha256').update(`${start}/${block++}`).digest());
    return Buffer.concat(parts).subarray(0, count);
  };
}
const keys = new Keep<KeyObject>(64);
const env = (start = 1, more: Partial<Env> = {}): Env => ({
  now: new Date('2026-03-01T12:00:00Z'),
  random: streamOf(start),
  fuel: DEFAULT_FUEL,
  keys,
  ...more,
});
const text = (template: string, data: Data = {}, world: Env = env()): string =>
  Buffer.from(render(template, data, world)).toString();

function failureOf(run: () => unknown): Failure {
  try {
    run();
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** An authority, one between, and two ends, with keys that cost nothing. */
const MADE = `{{ $k1 := genPrivateKey "ecdsa" }}{{ $k2 := genPrivateKey "ed25519" }}{{ $k3 := genPrivateKey "ecdsa" -}}
{{ $ca := genCAWithKey "Root" 3650 $k1 -}}
{{ $leaf := genSignedCertWithKey "a.example.com" (list "10.0.0.1" "fe80::1") (list "a.example.com" "*.example.com") 30 $ca $k2 -}}
{{ $self := genSelfSignedCertWithKey "b" nil nil 30 $k3 -}}
`;
const made = (template: string, world?: Env): string => text(MADE + template, {}, world);

describe('certificates that a template makes', () => {
  test('are what was asked for, and one signs the other', () => {
    const root = new X509Certificate(made('{{ $ca.Cert }}'));
    const leaf = new X509Certificate(made('{{ $leaf.Cert }}'));
    expect([root.subject, root.ca, leaf.subject, leaf.issuer, leaf.ca]).toEqual([
      'CN=Root',
      true,
      'CN=a.example.com',
      'CN=Root',
      false,
    ]);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.subjectAltName).toBe(
      'DNS:a.example.com, DNS:*.example.com, IP Address:10.0.0.1, IP Address:FE80:0:0:0:0:0:0:1',
    );
    expect(leaf.checkPrivateKey(createPrivateKey(made('{{ $leaf.Key }}')))).toBe(true);
    expect([leaf.validFrom, leaf.validTo]).toEqual(['Mar  1 12:00:00 2026 GMT', 'Mar 31 12:00:00 2026 GMT']);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  test('are the same for the same random bytes, and others for others', () => {
    const all = '{{ $ca.Cert }}{{ $leaf.Cert }}{{ $self.Cert }}{{ $self.Key }}';
    expect(made(all)).toBe(made(all));
    expect(made(all, env(2))).not.toBe(made(all));
  });

  test('with an RSA key of their own are so, too, and the key is made once', { timeout: 60_000 }, () => {
    const template = '{{ $ca := genCA "Root" 365 }}{{ $ca.Cert }}{{ $ca.Key }}';
    const first = text(template);
    const root = new X509Certificate(first);
    expect(root.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(first).toContain('-----BEGIN RSA PRIVATE KEY-----');
    const { keys: _, ...without } = env();
    expect(text(template, {}, without)).toBe(first);
  });

  test('are told apart from nobody else’s authority', () => {
    const reason = failureOf(() =>
      made(
        '{{ $wrong := buildCustomCert ($ca.Cert | b64enc) ($self.Key | b64enc) }}{{ genSignedCertWithKey "x" nil nil 1 $wrong $k2 }}',
      ),
    ).message;
    expect(reason).toContain("the private key of the authority doesn't match its certificate");
  });

  for (const [name, call, reason] of [
    ['an address that is none', 'genSelfSignedCertWithKey "x" (list "1.2.3") nil 1 $k1', 'error parsing ip'],
    ['a name that is no text', 'genSelfSignedCertWithKey "x" nil (list 5) 1 $k1', 'is not a string'],
    ['a name beyond ASCII', 'genSelfSignedCertWithKey "x" nil (list "ü") 1 $k1', 'IA5String'],
    ['a name that is not UTF-8', 'genSelfSignedCertWithKey "\\xff" nil nil 1 $k1', 'not UTF-8'],
    ['a thousand years', 'genSelfSignedCertWithKey "x" nil nil 365250 $k1', 'more days'],
    ['a key that is none', 'genCAWithKey "x" 1 "secret-word"', 'no PEM data in input'],
    ['a certificate in place of a key', 'genCAWithKey "x" 1 $ca.Cert', 'no private key'],
    ['a key of DSA', 'genCAWithKey "x" 1 (genPrivateKey "dsa")', 'no private key'],
    ['an unknown type of key', 'genPrivateKey "secret-word"', 'unknown type of key'],
  ] as const)
    test(`are refused with a reason, and without a value: ${name}`, { timeout: 60_000 }, () => {
      const { code, message } = failureOf(() => made(`{{ ${call} }}`));
      expect(code).toBe('template.exec');
      expect(message).toContain(reason);
      expect(message.replace(/at <.*>/s, '')).not.toContain('secret-word');
    });
});

describe('when a certificate begins', () => {
  const day = 86_400_000;
  const since = new Date('2026-01-01T00:00:00Z');
  const at = (days: number): Date => new Date(since.getTime() + days * day);
  test('it is the last third of a life that is past', () => {
    const begin = (days: number): number => (beginning(at(days), since, 30) - since.getTime()) / day;
    expect([0, 5, 9.99, 10, 19.9, 20, 365].map(begin)).toEqual([0, 0, 0, 10, 10, 20, 360]);
  });
  test('it is never after now, save where the object is from the future, and never leaves less than two thirds', () => {
    for (let days = 0; days < 400; days += 0.37) {
      const begun = beginning(at(days), since, 90);
      expect(begun).toBeLessThanOrEqual(at(days).getTime());
      expect(begun + 90 * day - at(days).getTime()).toBeGreaterThanOrEqual(60 * day);
    }
    expect(beginning(at(-1), since, 90)).toBe(since.getTime());
  });
  test('it is now where nobody says what to count from, and where no days are asked for', () => {
    expect(beginning(at(5), undefined, 30)).toBe(at(5).getTime());
    expect(beginning(at(5), since, 0)).toBe(at(5).getTime());
    expect(beginning(at(5), since, -3)).toBe(at(5).getTime());
  });
});

describe('key stores', () => {
  test('of a chain give back the key and the chain, in order', () => {
    const template = `{{ $store := fullPemToPkcs12Pass (print $leaf.Cert $ca.Cert) $leaf.Key "pw" | b64dec -}}
      {{ pkcs12certPass "pw" $store | eq (print $leaf.Cert $ca.Cert) }} {{ pkcs12keyPass "pw" $store | eq $leaf.Key }}`;
    expect(made(template).trim()).toBe('true true');
  });
  test('of trusted certificates name each entry once, as Java drops one of two with one name', () => {
    const der = made('{{ pemTruststoreToPKCS12 (print $ca.Cert $ca.Cert) }}');
    expect(text('{{ .s | b64dec | pkcs12cert }}', { s: der }).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });
  test('are the same for the same random bytes', () => {
    const template = '{{ pemToPkcs12 $leaf.Cert $leaf.Key }}';
    expect(made(template)).toBe(made(template));
  });
  for (const [name, call, reason] of [
    [
      'of another password',
      'pkcs12keyPass "secret-word" (pemToPkcs12Pass $leaf.Cert $leaf.Key "x" | b64dec)',
      'password incorrect',
    ],
    ['that are none', 'pkcs12key "secret-word"', 'the archive is malformed'],
    ['without a key', 'pkcs12key (pemTruststoreToPKCS12 $ca.Cert | b64dec)', 'private key missing'],
    [
      'of no certificate',
      'pemToPkcs12 "secret-word" $leaf.Key',
      'failed to decode PEM block containing certificate',
    ],
    ['of no key', 'pemToPkcs12 $leaf.Cert "secret-word"', 'failed to decode PEM block'],
    [
      'of a key in place of a certificate',
      'fullPemToPkcs12 $leaf.Key $leaf.Key',
      'the certificate is malformed',
    ],
  ] as const)
    test(`${name} are refused with a reason, and without a value`, () => {
      const { message } = failureOf(() => made(`{{ ${call} }}`));
      expect(message).toContain(reason);
      expect(message.replace(/at <.*>/s, '')).not.toContain('secret-word');
    });
});

describe('chains', () => {
  test('are put in order from any order, also where certificates do not name keys', () => {
    for (const pem of ['print $ca.Cert $leaf.Cert', 'print $leaf.Cert $ca.Cert']) {
      expect(made(`{{ filterCertChain "leaf" (${pem}) | eq $leaf.Cert }}`)).toBe('true');
      expect(made(`{{ filterCertChain "root" (${pem}) | eq $ca.Cert }}`)).toBe('true');
      expect(made(`{{ filterCertChain "intermediate" (${pem}) }}`)).toBe('');
    }
  });
  test('that are two are refused', () => {
    expect(
      failureOf(() => made('{{ filterCertChain "leaf" (print $leaf.Cert $self.Cert) }}')).message,
    ).toContain('found multiple leaf or disjunct certificates');
  });
});

describe('JWK', () => {
  test('a private one gives both keys', () => {
    const pem = text('{{ genPrivateKey "ecdsa" }}');
    const jwk = JSON.stringify(createPrivateKey(pem).export({ format: 'jwk' }));
    expect(
      createPrivateKey(text('{{ jwkPrivateKeyPem .k }}', { k: jwk })).equals(createPrivateKey(pem)),
    ).toBe(true);
    expect(text('{{ jwkPublicKeyPem .k }}', { k: jwk })).toBe(
      createPublicKey(pem).export({ type: 'spki', format: 'pem' }),
    );
  });
  for (const bad of [
    '',
    '{',
    '5',
    'null',
    '[]',
    '{"kty":"oct","k":"c2VjcmV0"}',
    '{"kty":"RSA","n":"c2VjcmV0"}',
    '{"kty":"EC","crv":"x"}',
  ])
    test(`what is none is refused, and not quoted: ${bad}`, () => {
      const { message } = failureOf(() => text('{{ jwkPublicKeyPem .k }}', { k: bad }));
      expect(message).toMatch(/JWK/);
      expect(message).not.toContain('c2VjcmV0');
    });
});

describe('rsaDecrypt', () => {
  test('opens what was encrypted with OAEP, under each hash', { timeout: 60_000 }, () => {
    const key = text('{{ (genCA "Root" 365).Key }}');
    for (const [hash, oaepHash] of [
      ['SHA1', 'sha1'],
      ['SHA256', 'sha256'],
      ['SHA512', 'sha512'],
      ['None', 'sha256'],
    ] as const) {
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const sealed = publicEncrypt(
        { key: createPublicKey(key), padding, oaepHash },
        Buffer.from('väl'),
      ).toString('base64');
      expect(text('{{ .k | rsaDecrypt "RSA-OAEP" .h (.s | b64dec) }}', { k: key, h: hash, s: sealed })).toBe(
        'väl',
      );
      expect(
        failureOf(() => text('{{ .k | rsaDecrypt "RSA-OAEP" .h "xx" }}', { k: key, h: hash })).message,
      ).toContain('error decrypting data with RSA');
    }
  });
});

describe('htpasswd', () => {
  test('hashes as upstream does: bcrypt, or SHA-1 where that is asked for', () => {
    expect(text('{{ htpasswd "a" "b" "sha" }}')).toBe('a:{SHA}6dcfXufJLW3J6S/9rRe4vUlBj5g=');
    expect(text('{{ htpasswd "a" "b" "bcrypt" }}')).toMatch(/^a:\$2a\$10\$/);
    expect(text('{{ htpasswd "a" "b" }}')).toMatch(/^a:\$2a\$10\$/);
  });
});

describe('what takes long is paid for before it is done', () => {
  for (const [name, template] of Object.entries({
    'many keys': '{{ range until 100 }}{{ genPrivateKey "rsa" }}{{ end }}',
    'many authorities': '{{ range until 100 }}{{ genCA "x" 1 }}{{ end }}',
    'many keys of DSA': '{{ range until 100 }}{{ genPrivateKey "dsa" }}{{ end }}',
    'many passwords': '{{ range until 100 }}{{ derivePassword 1 "long" "a" "b" "c" }}{{ end }}',
    'many key stores': `${MADE}{{ range until 1000 }}{{ pemToPkcs12 $leaf.Cert $leaf.Key }}{{ end }}`,
  }))
    test(name, { timeout: 60_000 }, () => {
      expect(failureOf(() => text(template)).message).toMatch(/used up its cost/);
    });
});
