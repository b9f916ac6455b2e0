import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyChain } from '../../base/chain.ts';
import { ManualClock, systemClock } from '../../base/clock.ts';
import { Exact, type Json, RawJson } from '../../base/json.ts';
import { silentLog } from '../../base/log.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { AuditAuth, AuditRequest, AuditResponse, AuditSink } from './audit.ts';
import { type AuditBrokerOptions, createAuditBroker } from './broker.ts';
import { sinkOpener } from './sinks.ts';

const CANARY = 'canary-8f2d1c';

const request: AuditRequest = {
  id: 'r-1',
  operation: 'update',
  path: 'secret/data/app',
  mount: { point: 'secret/', type: 'kv', accessor: 'kv_1a2b3c4d', class: 'secret' },
  clientToken: `token-${CANARY}`,
  clientTokenAccessor: `accessor-${CANARY}`,
  data: {
    data: new RawJson(`{"password":"${CANARY}","deep":[{"x":"${CANARY}"}],"n":12345678901234567890}`),
    list: [CANARY, 5, true, null],
    exact: new Exact('1.50'),
  },
  remote: { address: '127.0.0.1', port: 4711 },
  wrapTtlMs: 60_000,
  headers: { values: { authorization: [CANARY], 'user-agent': ['curl'] }, clear: ['user-agent'] },
};
const auth: AuditAuth = {
  clientToken: `token-${CANARY}`,
  accessor: `accessor-${CANARY}`,
  displayName: 'token-x',
  policies: ['default'],
  tokenPolicies: ['default'],
  metadata: { role: 'r' },
  entityId: '',
  tokenType: 'service',
  tokenTtlMs: 3_600_000,
  issuedAt: '2026-01-01T00:00:00Z',
  policyResults: { allowed: true, granting: [{ name: 'default', type: 'acl' }] },
};
const response: AuditResponse = {
  auth,
  data: {
    keys: [`${CANARY}-1`, `${CANARY}-2`],
    when: new Date(0) as unknown as Json,
    bytes: Buffer.from(CANARY) as unknown as Json,
  },
  leaseId: 'database/creds/x/1',
  warnings: ['mind this'],
  wrap: {
    token: `wrap-${CANARY}`,
    accessor: `wrap-accessor-${CANARY}`,
    ttlMs: 5000,
    createdAt: 'then',
    path: 'secret/data/app',
    wrappedAccessor: `wrapped-${CANARY}`,
  },
};

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-audit-'));
  file = join(folder, 'audit.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const setup = (more: Partial<AuditBrokerOptions> = {}) => {
  const storage = more.storage ?? new MemoryBackend();
  return { storage, broker: createAuditBroker({ storage, clock: systemClock, log: silentLog, ...more }) };
};
const config = (options: Record<string, string> = {}) => ({
  type: 'file',
  description: '',
  options: { file_path: file, ...options },
  local: false,
});
const text = () => readFileSync(file, 'utf8');
const lines = () => text().split('\n');
const parsed = () =>
  lines()
    .filter((l) => l !== '')
    .map((l) => JSON.parse(l) as Record<string, unknown>);

describe('the lines', () => {
  it('of an exchange are the same, whether they are written at once or one by one', async () => {
    const { broker } = setup({ clock: new ManualClock() });
    await broker.enable('file/', config({ skip_test: 'true' }));
    for (const error of [undefined, 'went wrong']) {
      const told = error === undefined ? response : undefined;
      const clear = { request: ['list'], response: [] };
      await broker.record('request', { request, auth, clear });
      await broker.record('response', { request, auth, response: told, error, clear });
      await broker.record('both', { request, auth, response: told, error, clear });
    }
    const bodies = parsed().map(({ chain: _, ...body }) => body);
    expect(bodies).toHaveLength(8);
    expect(bodies.slice(2, 4)).toEqual(bodies.slice(0, 2));
    expect(bodies.slice(6, 8)).toEqual(bodies.slice(4, 6));
    expect(bodies.slice(4, 6)).toMatchObject([
      { type: 'request' },
      { type: 'response', error: 'went wrong' },
    ]);
    expect(bodies[4]).not.toHaveProperty('error');
    expect(verifyChain(lines(), { anchors: await broker.anchors('file/') })).toEqual([]);
    expect(broker.counts()).toEqual({
      request: { lines: 4, failures: 0 },
      response: { lines: 4, failures: 0 },
    });
  });

  it('hold no secret anywhere, and hash what they hold so that it can be found again', async () => {
    const { broker } = setup();
    await broker.enable('file/', config());
    await broker.record('request', { request, auth });
    await broker.record('response', { request, auth, response });
    expect(text()).not.toContain(CANARY);
    expect(text()).not.toContain(Buffer.from(CANARY).toString('base64').slice(0, 12));
    const [asked, answered] = parsed() as unknown as [Record<string, unknown>, Record<string, unknown>];
    const h = (input: string) => broker.hash('file', input);
    expect(asked).toMatchObject({
      type: 'request',
      auth: {
        client_token: await h(`token-${CANARY}`),
        accessor: await h(`accessor-${CANARY}`),
        policies: ['default'],
        token_ttl: 3600,
        policy_results: {
          allowed: true,
          granting_policies: [{ name: 'default', namespace_id: 'root', type: 'acl' }],
        },
      },
      request: {
        id: 'r-1',
        operation: 'update',
        mount_point: 'secret/',
        mount_class: 'secret',
        path: 'secret/data/app',
        client_token: await h(`token-${CANARY}`),
        data: {
          data: { password: await h(CANARY), deep: [{ x: await h(CANARY) }] },
          list: [await h(CANARY), 5, true, null],
        },
        remote_port: 4711,
        wrap_ttl: 60,
        headers: { 'user-agent': ['curl'] },
      },
    });
    expect(asked).not.toHaveProperty('response');
    expect(text()).toContain('"n":12345678901234567890');
    expect(text()).toContain('"exact":1.50');
    expect(answered).toMatchObject({
      type: 'response',
      response: {
        secret: { lease_id: 'database/creds/x/1' },
        warnings: ['mind this'],
        wrap_info: { ttl: 5, creation_path: 'secret/data/app' },
      },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('no text in the data of any shape gets through', async () => {
    const { broker } = setup();
    await broker.enable('file/', config());
    const texts = new Set<string>();
    const leaf = fc.integer({ min: 0, max: 1e9 }).map((n) => {
      const t = `leak:${n}:`;
      texts.add(t);
      return t;
    });
    const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'constructor'), tie('tree'), { maxKeys: 3 }),
        leaf.map((t) => new RawJson(JSON.stringify({ raw: [t] }))),
        leaf.map((t) => new RawJson(`not json ${t}`)),
        leaf.map((t) => new Map([['m', t]]) as unknown as Json),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(tree, async (data) => {
        await broker.record('request', { request: { ...request, data } });
      }),
      { numRuns: 300 },
    );
    expect(texts.size).toBeGreaterThan(50);
    expect(text()).not.toContain('leak:');
  });

  it('keep in the clear what a mount names, and everything with log_raw', async () => {
    const { broker } = setup();
    await broker.enable('file/', config());
    await broker.record('request', {
      request: { ...request, data: { shown: 'in the clear', hidden: CANARY } },
      clear: { request: ['shown'], response: [] },
    });
    expect(text()).toContain('in the clear');
    expect(text()).not.toContain(CANARY);
    await broker.disable('file/');
    await broker.enable('file/', config({ log_raw: 'true', prefix: '@cee: ' }));
    await broker.record('request', { request, auth });
    expect(text()).toContain(CANARY);
    expect(lines().at(-2)).toMatch(/^@cee: \{/);
    expect(verifyChain(lines(), { anchors: await broker.anchors('file/') })).toEqual([]);
  });

  it('have what is asked for before each of them, whatever it is, and nothing of it within', async () => {
    const { broker } = setup();
    await broker.enable('file/', config({ log_raw: 'true', prefix: "$& $' @cee: ", skip_test: 'true' }));
    const data = { text: 'a\u2028{b\u2029{c' };
    await Promise.all(
      [1, 2, 3].map(() => broker.record('both', { request: { ...request, data }, auth, response })),
    );
    const written = lines().filter((line) => line !== '');
    expect(written).toHaveLength(6);
    for (const line of written) expect(line.startsWith("$& $' @cee: {")).toBe(true);
    expect(text().split("$& $' @cee: ")).toHaveLength(7);
    expect(verifyChain(lines(), { anchors: await broker.anchors('file/') })).toEqual([]);
  });

  it('count a listing where asked to, and leave accessors plain where asked to', async () => {
    const { broker } = setup();
    await broker.enable('file/', config({ elide_list_responses: 'true', hmac_accessor: 'false' }));
    await broker.record('response', {
      request: { ...request, operation: 'list' },
      auth: { ...auth, accessor: 'plain-accessor' },
      response: { data: { keys: ['a', 'b'], key_info: { a: {} } } },
    });
    expect(text()).toContain('"data":{"keys":2,"key_info":1}');
    expect(text()).toContain('"accessor":"plain-accessor"');
    expect(text()).not.toContain('token-canary');
  });
});

describe('fail-closed', () => {
  const sinkOf = (append: AuditSink['append']): AuditSink => ({
    name: 'x',
    append,
    reopen: async () => {},
    close: async () => {},
  });
  const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });

  it('lets everything through where no device is enabled', async () => {
    const { broker } = setup();
    expect(broker.enabled).toBe(false);
    await broker.record('request', { request, auth });
  });
  it('refuses in the words that clients know when no device takes the line', async () => {
    const { broker } = setup({ openSink: async () => sinkOf(() => Promise.reject(full)) });
    await broker.enable('file/', config());
    await expect(broker.record('request', { request, auth })).rejects.toMatchObject({
      code: 'audit.failed',
      kind: 'internal',
      message: '1 error occurred:\n\t* internal error\n\n',
    });
  });
  it('refuses both lines of an exchange together', async () => {
    const { broker } = setup({ openSink: async () => sinkOf(() => Promise.reject(new Error('full'))) });
    await broker.enable('file/', config());
    await expect(broker.record('both', { request, auth, response })).rejects.toMatchObject({
      code: 'audit.failed',
    });
    expect(broker.counts()).toEqual({
      request: { lines: 1, failures: 1 },
      response: { lines: 1, failures: 1 },
    });
  });
  it('goes on with one device of two, and does not wait for the one that hangs', async () => {
    let opened = 0;
    const took: string[] = [];
    const { broker } = setup({
      openSink: async () =>
        opened++ === 0
          ? sinkOf(() => new Promise(() => {}))
          : sinkOf(async (bytes) => {
              took.push(Buffer.from(bytes).toString());
            }),
    });
    await broker.enable('hangs/', config());
    await broker.enable('works/', config());
    await broker.record('request', { request, auth });
    expect(took).toHaveLength(1);
  });
  it('gives up on a device that hangs when its time is over, and on its closing', async () => {
    const clock = new ManualClock();
    const { broker } = setup({ clock, openSink: async () => sinkOf(() => new Promise(() => {})) });
    await broker.enable('file/', config());
    const asked = broker.record('request', { request, auth });
    const refused = expect(asked).rejects.toMatchObject({ code: 'audit.failed' });
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5001);
    await refused;
    const closing = broker.close();
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5001);
    await closing;
  });
  it('a device that does not open after a restart still counts: nothing is answered until it is back', async () => {
    const first = setup();
    await first.broker.enable('file/', config());
    await first.broker.close();
    let broken = true;
    const openFile = sinkOpener({ clock: systemClock });
    const second = setup({
      storage: first.storage,
      openSink: (name, target) => (broken ? Promise.reject(full) : openFile(name, target)),
    });
    await second.broker.load();
    expect(second.broker.enabled).toBe(true);
    await expect(second.broker.record('request', { request, auth })).rejects.toMatchObject({
      code: 'audit.failed',
    });
    broken = false;
    await second.broker.reopen();
    await second.broker.record('request', { request, auth });
  });
});

describe('devices', () => {
  it('are kept over a restart with their salt, under any name', async () => {
    const first = setup();
    await first.broker.enable('a/b c', config());
    const hash = await first.broker.hash('a/b c/', 'x');
    await first.broker.record('request', { request, auth });
    await first.broker.close();
    const second = setup({ storage: first.storage });
    await second.broker.load();
    expect(second.broker.list()).toEqual([{ path: 'a/b c/', ...config() }]);
    expect(await second.broker.hash('a/b c', 'x')).toBe(hash);
    expect(hash).toMatch(/^hmac-sha256:[0-9a-f]{64}$/);
    await second.broker.record('request', { request, auth });
    await second.broker.close();
    expect(verifyChain(lines(), { anchors: await second.broker.anchors('a/b c') })).toEqual([]);
    expect(lines().filter((l) => l !== '')).toHaveLength(2);
  });
  it.each([
    ['a path in use', 'file/', {}, 'audit.in_use'],
    ['no file', 'b/', { file_path: '' }, 'audit.bad_option'],
    ['a file that cannot be made', 'b/', { file_path: '/proc/nowhere/x' }, 'audit.bad_option'],
    ['a device in place of a file', 'b/', { file_path: '/dev/null' }, 'audit.bad_option'],
    ['an unknown option', 'b/', { hmac_acessor: 'false' }, 'audit.bad_option'],
    ['a prefix that would hide the chain', 'b/', { prefix: '{' }, 'audit.bad_option'],
  ])('refuse %s', async (_, path, options, code) => {
    const { broker } = setup();
    await broker.enable('file/', config());
    await expect(broker.enable(path, config(options as Record<string, string>))).rejects.toMatchObject({
      code,
    });
    expect(broker.list()).toHaveLength(1);
  });
  it('the rotated file and the new one verify as one trail', async () => {
    const { broker } = setup();
    await broker.enable('file/', config());
    for (let i = 0; i < 5; i++) await broker.record('request', { request, auth });
    renameSync(file, `${file}.1`);
    await broker.reopen();
    for (let i = 0; i < 5; i++) await broker.record('request', { request, auth });
    await broker.close();
    const all = [...readFileSync(`${file}.1`, 'utf8').split('\n'), ...lines()];
    const anchors = await broker.anchors('file/');
    expect(anchors[0]?.seq).toBe(10);
    expect(verifyChain(all, { anchors })).toEqual([]);
    expect(verifyChain(lines(), { anchors, partial: true })).toEqual([]);
    expect(verifyChain(lines(), { anchors })).toMatchObject([{ kind: 'missing', from: 1, to: 5 }]);
  });
  it('a line cut by a crash costs itself alone, and is called torn', async () => {
    const first = setup();
    await first.broker.enable('file/', config());
    await first.broker.record('request', { request, auth });
    await first.broker.close();
    appendFileSync(file, '{"time":"2026-01-01T00:00:0');
    const second = setup({ storage: first.storage });
    await second.broker.load();
    await second.broker.record('request', { request, auth });
    await second.broker.close();
    expect(verifyChain(lines(), { anchors: await second.broker.anchors('file/') })).toMatchObject([
      { kind: 'torn', line: 2 },
    ]);
  });
  it('many lines at once stay whole and in one chain', async () => {
    const { broker } = setup();
    await broker.enable('file/', config({ fsync: 'true' }));
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        broker.record('request', { request: { ...request, id: `r-${i}` }, auth }),
      ),
    );
    await broker.close();
    expect(new Set(parsed().map((l) => (l['request'] as { id: string }).id)).size).toBe(1000);
    expect(verifyChain(lines(), { anchors: await broker.anchors('file/') })).toEqual([]);
  });
});
