import { describe, expect, it } from 'vitest';
import { type ReadEntry, ReadFinder, type ReadQuery } from './reads.ts';

interface Asked {
  readonly path: string;
  readonly id?: string;
  readonly operation?: string;
  readonly name?: string;
  readonly time?: string;
  readonly mount?: string;
  readonly type?: string;
  readonly token?: string;
  readonly allowed?: boolean;
  readonly error?: string;
  readonly response?: Record<string, unknown>;
}

let count = 0;
const line = (kind: 'request' | 'response', asked: Asked): string =>
  JSON.stringify({
    time: asked.time ?? '2026-01-02T03:04:05.000Z',
    type: kind,
    auth: {
      display_name: asked.name ?? 'ann',
      entity_id: 'e-1',
      accessor: 'hmac-sha256:aa',
      policy_results: { allowed: asked.allowed ?? true },
    },
    request: {
      id: asked.id ?? `r-${count}`,
      operation: asked.operation ?? 'read',
      path: asked.path,
      mount_point: asked.mount ?? 'secret/',
      mount_type: asked.type ?? 'kv',
      client_token: asked.token ?? 'hmac-sha256:bb',
      remote_address: '10.0.0.7',
    },
    ...(kind === 'response' && asked.error === undefined
      ? { response: asked.response ?? { data: { data: { a: 'hmac-sha256:cc' } } } }
      : {}),
    ...(asked.error === undefined ? {} : { error: asked.error }),
  });
const both = (asked: Asked): string[] => {
  count++;
  return [line('request', asked), line('response', asked)];
};

function found(lines: readonly string[], query: Partial<ReadQuery> = {}): ReadEntry[] {
  const entries: ReadEntry[] = [];
  const finder = new ReadFinder({ path: 'secret/app', ...query }, (entry) => entries.push(entry));
  for (const one of lines) finder.take(one);
  finder.end();
  return entries;
}
const names = (lines: readonly string[], query: Partial<ReadQuery> = {}): string[] =>
  found(lines, query).map(({ display_name: name }) => name);

describe('who read a secret', () => {
  it('is told once for each request, by the path that people type and by the one on the wire', () => {
    const lines = both({ path: 'secret/data/app' });
    const entry: ReadEntry = {
      time: '2026-01-02T03:04:05.000Z',
      display_name: 'ann',
      entity_id: 'e-1',
      accessor: 'hmac-sha256:aa',
      remote_address: '10.0.0.7',
      operation: 'read',
      path: 'secret/data/app',
      allowed: true,
      outcome: 'read',
    };
    for (const path of ['secret/app', 'secret/data/app', '/secret/app/'])
      expect(found(lines, { path })).toEqual([entry]);
  });
  it('is not who read another, whose name only begins or ends alike', () => {
    const others = ['secret/data/app2', 'secret/data/x/app', 'secret/data/app/x', 'secret/metadata/app'];
    expect(found(others.flatMap((path) => both({ path })))).toEqual([]);
  });
  it('is told for all below a folder, at the border of a name', () => {
    const paths = ['secret/data/team/a', 'secret/data/team/b/c', 'secret/data/team2/a', 'secret/data/x'];
    const lines = paths.flatMap((path) => both({ path }));
    expect(found(lines, { path: 'secret/team/*' }).map(({ path }) => path)).toEqual(paths.slice(0, 2));
  });
  it('finds a name that JSON spells otherwise', () => {
    const lines = both({ path: 'secret/data/a"b\\é' });
    expect(found(lines, { path: 'secret/a"b\\é' })).toHaveLength(1);
  });
  it('of a write tells nobody, but where the write hands out a secret', () => {
    const write = { path: 'secret/data/app', operation: 'update', response: { data: { version: 2 } } };
    expect(found(both(write))).toEqual([]);
    const decrypt = { path: 'transit/decrypt/k', operation: 'update', mount: 'transit/', type: 'transit' };
    expect(found(both(decrypt), { path: 'transit/decrypt/k' })).toHaveLength(1);
    expect(found(both({ ...decrypt, response: {} }), { path: 'transit/decrypt/k' })).toEqual([]);
  });
  it('lists and reads of metadata are told where asked for', () => {
    const lines = [
      ...both({ path: 'secret/metadata/app', name: 'meta' }),
      ...both({
        path: 'secret/metadata/app/',
        operation: 'list',
        name: 'list',
        response: { data: { keys: [] } },
      }),
    ];
    expect(names(lines)).toEqual([]);
    expect(names(lines, { lists: true })).toEqual(['meta', 'list']);
  });
  it('attempts are told where asked for, with what came of them', () => {
    const lines = [
      ...both({ path: 'secret/data/app', name: 'denied', allowed: false, error: 'permission denied' }),
      ...both({ path: 'secret/data/app', name: 'failed', error: 'internal error' }),
      ...both({ path: 'secret/data/app', name: 'absent', response: {} }),
      line('request', { path: 'secret/data/app', name: 'cut off', id: 'never' }),
    ];
    expect(names(lines)).toEqual([]);
    expect(
      found(lines, { attempts: true }).map(({ display_name: n, outcome, allowed }) => [n, outcome, allowed]),
    ).toEqual([
      ['denied', 'denied', false],
      ['failed', 'failed', true],
      ['absent', 'nothing', true],
      ['cut off', 'unanswered', true],
    ]);
  });
  it('who opens the wrapping of it has read it, over a rewrap too', () => {
    const wrapped = (token: string) => ({ wrap_info: { token, creation_path: 'secret/data/app' } });
    const sys = { mount: 'sys/', type: 'system' };
    const lines = [
      ...both({ path: 'secret/data/app', name: 'ci', response: wrapped('t-1') }),
      ...both({
        ...sys,
        path: 'sys/wrapping/rewrap',
        operation: 'update',
        token: 't-1',
        response: wrapped('t-2'),
      }),
      ...both({ ...sys, path: 'sys/wrapping/unwrap', operation: 'update', name: 'job', token: 't-2' }),
      ...both({ ...sys, path: 'sys/wrapping/unwrap', operation: 'update', name: 'other', token: 't-3' }),
    ];
    expect(found(lines).map(({ display_name: name, operation }) => [name, operation])).toEqual([
      ['ci', 'read, wrapped'],
      ['job', 'unwrap'],
    ]);
  });
  it('is bounded by two times, both of which count', () => {
    const at = (time: string) => both({ path: 'secret/data/app', name: time, time });
    const lines = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'].flatMap(at);
    const day = (n: number) => Date.UTC(2026, 0, n);
    expect(names(lines, { since: day(2) })).toEqual(['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z']);
    expect(names(lines, { until: day(2) })).toEqual(['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']);
  });
  it('counts lines that are none, and does not fall over them', () => {
    const finder = new ReadFinder({ path: 'secret/app' }, () => {});
    for (const one of ['secret', '{"secret":', '{"request":5,"x":"secret"}', '[]', 'null', ''])
      finder.take(one);
    expect(finder.unreadable).toBe(3);
  });
  it('remembers ten thousand requests without an answer, and tells the oldest beyond them', () => {
    const seen: ReadEntry[] = [];
    const finder = new ReadFinder({ path: 'secret/app', attempts: true }, (entry) => seen.push(entry));
    for (let i = 0; i < 10_005; i++) finder.take(line('request', { path: 'secret/data/app', id: `p-${i}` }));
    expect(seen).toHaveLength(5);
  });
});
