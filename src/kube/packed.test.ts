import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from './kube.ts';
import { Packer, unpack } from './packed.ts';

const app = (name: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'team', uid: `uid-${name}`, resourceVersion: '7' },
  ...more,
});

describe('packed objects', () => {
  test('come back as they were, whatever JSON is in them', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.string({ unit: 'binary' }), (value, text) => {
        const object = app('a', { spec: value, [text]: text, lines: `${text}\n"\\":\u2028${text}` });
        expect(unpack(new Packer().pack(object))).toEqual(JSON.parse(JSON.stringify(object)));
      }),
    );
  });

  test.each([
    ['a text that looks like a member', { a: '"b":1', '"c":': ':' }],
    ['numbers of every form', { n: [0, -1, 1.5, 1e300, -2.5e-7, Number.MAX_SAFE_INTEGER] }],
    ['digits in names and texts', { 12: { '3': '4' }, 'x-5': '-6' }],
    ['what is neither text nor number', { a: null, b: true, c: [], d: {}, e: [[], [false]] }],
    ['a text of a megabyte, half of it escaped', { s: '"\\\n\u0000'.repeat(250_000) }],
    ['half a surrogate pair', { s: '\ud800' }],
  ])('come back as they were: %s', (_, more) => {
    const object = app('a', more);
    expect(unpack(new Packer().pack(object))).toEqual(object);
  });

  test('share a frame when they differ in texts and numbers only, and have their own when one has more members', () => {
    const packer = new Packer();
    const [a, b] = [
      packer.pack(app('a', { spec: { n: 1, on: true } })),
      packer.pack(app('bb', { spec: { n: 22, on: true } })),
    ];
    expect(a.frame).toBe(b.frame);
    expect(packer.pack(app('c', { spec: { n: 1, on: false } })).frame).not.toBe(a.frame);
    expect(unpack(b)).toEqual(app('bb', { spec: { n: 22, on: true } }));
  });

  test('leave no frame behind when all of it are gone', () => {
    const packer = new Packer();
    const [a, b] = [packer.pack(app('a')), packer.pack(app('b'))];
    packer.release(a);
    expect(packer.frames).toBe(1);
    packer.release(b);
    expect(packer.frames).toBe(0);
    expect(unpack(packer.pack(app('c')))).toEqual(app('c'));
  });

  test('are copies: what is done to one that was unpacked is not seen by the next', () => {
    const packed = new Packer().pack(app('a', { spec: { keys: ['x'] } }));
    (unpack(packed)['spec'] as { keys: string[] }).keys.push('y');
    expect(unpack(packed)['spec']).toEqual({ keys: ['x'] });
  });
});
