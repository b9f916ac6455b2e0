import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { createRendering } from './rendering.ts';

const object = (uid: string) => ({ apiVersion: 'x', kind: 'ExternalSecret', metadata: { name: 'a', uid } });
const render = (text: string, value = 'v', uid = 'u', seed = 1): string =>
  Buffer.from(
    createRendering({ seed: new Uint8Array(32).fill(seed) })(object(uid), new Date(0)).render(
      text,
      'data[X]',
      new Map([['pass', Buffer.from(value)]]),
    ),
  ).toString();

test('what a template draws is the same each time, and another for other data, objects and seeds', () => {
  const text = '{{ htpasswd "admin" .pass }}';
  const first = render(text);
  expect(first).toMatch(/^admin:\$2[aby]\$/);
  expect(render(text)).toBe(first);
  const others = [render(text, 'w'), render(text, 'v', 'other'), render(text, 'v', 'u', 2)];
  expect(new Set([first, ...others]).size).toBe(4);
});

test('a template that never ends is stopped and told', () => {
  try {
    render('{{ range $i := until 100000000 }}{{ end }}');
    expect.unreachable();
  } catch (error) {
    expect(isFailure(error)).toBe(true);
    expect(String(error)).toContain('data[X]');
  }
});

test('a key is rewritten by its template', () => {
  const env = createRendering({ seed: new Uint8Array(32) })(object('u'), new Date(0));
  expect(env.renderKey('{{ .value | upper }}_X', 'ab')).toBe('AB_X');
});

test('a certificate stays the same for a third of its life, and then keeps its key and its name', () => {
  const text =
    '{{ $ca := genSelfSignedCertWithKey "a" nil nil 30 (genPrivateKey "ecdsa") }}{{ $ca.Cert }}{{ $ca.Key }}';
  const rendering = createRendering({ seed: new Uint8Array(32) });
  const at = (day: number): string => {
    const metadata = { name: 'a', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' };
    const env = rendering(
      { apiVersion: 'x', kind: 'ExternalSecret', metadata },
      new Date(Date.UTC(2026, 0, 1 + day)),
    );
    return Buffer.from(env.render(text, 'x', new Map())).toString();
  };
  const certificate = (pem: string) => new X509Certificate(pem);
  const first = at(0);
  expect(certificate(first).validFrom).toBe('Jan  1 00:00:00 2026 GMT');
  expect(certificate(first).validTo).toBe('Jan 31 00:00:00 2026 GMT');
  expect(at(9.9)).toBe(first);
  const second = at(10);
  expect(certificate(second).validFrom).toBe('Jan 11 00:00:00 2026 GMT');
  expect(certificate(second).serialNumber).not.toBe(certificate(first).serialNumber);
  expect(second.slice(second.indexOf('-----BEGIN EC'))).toBe(first.slice(first.indexOf('-----BEGIN EC')));
});

test('the templates of one object share fuel, so that many of them do not hold everybody up', () => {
  const fuel = { steps: 1000, bytes: 100_000, cost: 1024 };
  const env = createRendering({ seed: new Uint8Array(32), fuel })(object('u'), new Date(0));
  for (let i = 0; i < 4; i++) env.render('{{ bcrypt "x" }}', 'x', new Map());
  expect(() => env.render('{{ bcrypt "x" }}', 'x', new Map())).toThrow(/used up its cost/);
});
