import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base64url, utf8 } from '../../base/bytes.ts';
import { parsePath } from '../../base/path.ts';
import type { Request } from '../core/request.ts';
import { decodeHead, decodeWrites, encodeHead, encodeWrites } from './wire.ts';

const { signal } = new AbortController();
const names = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const requests: fc.Arbitrary<Request> = fc.record(
  {
    verb: fc.constantFrom<Request['verb']>('read', 'list', 'write', 'patch', 'delete'),
    path: fc.array(names, { minLength: 1, maxLength: 5 }).map((segments) => parsePath(segments.join('/'))),
    headers: fc.dictionary(names, fc.string()),
    remote: fc.record({ address: fc.ipV6(), port: fc.nat(65_535) }),
    token: fc.string(),
    wrapTtlMs: fc.nat(),
    help: fc.boolean(),
    opaque: fc.boolean(),
    headersOnly: fc.boolean(),
    form: fc.boolean(),
    openMetrics: fc.boolean(),
    data: fc.dictionary(names, fc.oneof(fc.string(), fc.array(fc.string()))),
    peerCertificate: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    signal: fc.constant(signal),
  },
  { requiredKeys: ['verb', 'path', 'headers', 'remote', 'signal'] },
);

describe('a request', () => {
  test('arrives at the other node as it was read at the edge, body apart', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const read = decodeHead(encodeHead({ ...request, body: utf8('body') }), signal);
        const { peerCertificate, data, headers, ...rest } = request;
        expect(read?.request).toMatchObject(rest);
        expect({ ...read?.request.headers }).toEqual({ ...headers });
        expect(data === undefined ? undefined : { ...read?.request.data }).toEqual(data && { ...data });
        expect(Buffer.from(read?.request.peerCertificate ?? [])).toEqual(Buffer.from(peerCertificate ?? []));
        expect(read?.streamed).toBe(false);
        expect(read?.request.body).toBeUndefined();
      }),
    );
  });

  test('that no node of ours sends is none, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => base64url(utf8(text))),
        ),
        (text) => {
          expect(decodeHead(text, signal)).toBeUndefined();
          expect(() => decodeWrites(utf8(text))).not.toThrow();
        },
      ),
    );
  });

  test('may be long: all headers and the query that the edge takes fit', () => {
    const request: Request = {
      verb: 'read',
      path: parsePath('a'),
      headers: { 'x-long': 'x'.repeat(32 * 1024) },
      remote: { address: '::1', port: 1 },
      data: { q: 'y'.repeat(16 * 1024) },
      signal,
    };
    expect(encodeHead(request).length).toBeLessThan(200 * 1024);
  });
});

test('writes arrive as they were', () => {
  const value = fc.uint8Array({ maxLength: 50 });
  fc.assert(
    fc.property(fc.array(fc.record({ key: fc.string(), value }, { requiredKeys: ['key'] })), (all) => {
      const read = decodeWrites(encodeWrites(all));
      expect(
        read?.map((write) => ('value' in write ? { ...write, value: Uint8Array.from(write.value) } : write)),
      ).toEqual(
        all.map(({ key, value: bytes }) =>
          bytes === undefined ? { key, delete: true } : { key, value: Uint8Array.from(bytes) },
        ),
      );
    }),
  );
});
