/** The store on a PostgreSQL of this machine: the conformance suite, the lead, lost connections, and what a person is told. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { isFailure } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { sleep } from '../../src/base/retry.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import { PACE, Tenure } from '../../src/server/cluster/tenure.ts';
import { describeBackend } from '../../src/storage/conformance.ts';
import { openPostgres, type PostgresBackend, type PostgresOptions } from '../../src/storage/postgres.ts';
import type { PostgresTarget } from '../../src/storage/postgres-target.ts';
import { type Change, Gone, type Write } from '../../src/storage/storage.ts';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';
import { hasPostgresql, KEEPER, ROOT, type Started, startPostgresql } from './database-servers.ts';

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/real/postgres-storage: no initdb on the PATH, or no user postgres');

const LONG_MS = 600_000;
const RUNS = 200;
const never = new AbortController().signal;
const put = (key: string, text = key): Write => ({ key, value: utf8(text) });
const codeOf = (error: unknown): string => (isFailure(error) ? error.code : String(error));
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await sleep(10);
};

describe.skipIf(!found)('the store on PostgreSQL', () => {
  let postgres: Started;
  let admin: pg.Client;
  let count = 0;
  const open = new Set<PostgresBackend>();
  const login = async (): Promise<void> => {
    admin = new pg.Client({
      host: '127.0.0.1',
      port: postgres.port,
      user: KEEPER,
      password: ROOT,
      database: 'postgres',
      ssl: false,
    });
    admin.on('error', () => {});
    await admin.connect();
  };
  beforeAll(async () => {
    postgres = await startPostgresql();
    await login();
  });
  afterEach(async () => {
    for (const backend of open) await backend.close();
    open.clear();
  });
  afterAll(async () => {
    await admin?.end();
    await postgres?.stop();
  });

  const target = (over: Partial<PostgresTarget> = {}): PostgresTarget => ({
    host: '127.0.0.1',
    port: postgres.port,
    database: 'postgres',
    user: KEEPER,
    password: ROOT,
    tls: { mode: 'disable' },
    connectTimeoutMs: 2000,
    ...over,
  });
  const fresh = () => `store${++count}`;
  const opened = async (table: string, over: Partial<PostgresOptions> = {}): Promise<PostgresBackend> => {
    const backend = await openPostgres({ target: target(), table, ...over });
    open.add(backend);
    return backend;
  };
  const leading = async (table: string, over: Partial<PostgresOptions> = {}): Promise<PostgresBackend> => {
    const backend = await opened(table, over);
    expect(
      await backend.leadership.campaign({ id: `node of ${table}`, address: '' }, LONG_MS),
    ).toBeGreaterThan(0);
    return backend;
  };
  const refusalOf = (over: Partial<PostgresTarget>, table = fresh()): Promise<string> =>
    openPostgres({ target: target(over), table }).then(
      async (backend) => {
        await backend.close();
        return 'opened';
      },
      (error: unknown) => (isFailure(error, 'storage.database') ? error.message : String(error)),
    );

  describeBackend('postgresql', async () => {
    const table = fresh();
    let current = await leading(table);
    const reopen = async () => {
      await current.close();
      current = await leading(table);
      return current;
    };
    return { backend: current, reopen, remembers: true };
  });

  describe('opening', () => {
    test('makes the tables once, however many nodes start at the same time', async () => {
      const table = fresh();
      await Promise.all(Array.from({ length: 6 }, () => opened(table)));
      expect((await admin.query(`SELECT version FROM ${table}_schema`)).rows).toEqual([{ version: 1 }]);
      expect((await admin.query(`SELECT count(*)::int AS rows FROM ${table}_state`)).rows).toEqual([
        { rows: 1 },
      ]);
    });

    test('refuses tables of a newer program, of somebody else, and an empty store beside the data of a Vault', async () => {
      const table = fresh();
      await opened(table);
      await admin.query(`INSERT INTO ${table}_schema (version) VALUES (99)`);
      expect(await refusalOf({}, table)).toBe(
        'the database of the store cannot be used: its tables have version 99, and this program knows them up to 1',
      );
      const theirs = fresh();
      await admin.query(`CREATE TABLE ${theirs} (id int)`);
      expect(await refusalOf({}, theirs)).toMatch(/a table of that name is there and is not of this store/);
      await admin.query('CREATE TABLE vault_kv_store (id int)');
      await expect(openPostgres({ target: target() })).rejects.toThrow(
        /holds the data of a Vault \(vault_kv_store\)/,
      );
      await admin.query('DROP TABLE vault_kv_store');
    });

    test('needs no right to make tables once they are there', async () => {
      const table = fresh();
      await opened(table);
      await admin.query(`CREATE ROLE plain_${table} LOGIN PASSWORD '${ROOT}'`);
      expect(await refusalOf({ user: `plain_${table}` }, fresh())).toMatch(
        /this user may not do what the store needs/,
      );
      for (const part of ['', '_state', '_changes', '_schema'])
        await admin.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table}${part} TO plain_${table}`);
      const backend = await leading(table, { target: target({ user: `plain_${table}` }) });
      expect(await backend.commit([put('a')])).toBe(1);
    });

    test('says what is wrong without a word of the password, and takes none from the environment', async () => {
      const before = process.env['PGPASSWORD'];
      process.env['PGPASSWORD'] = ROOT;
      try {
        expect(await refusalOf({ password: '' })).toMatch(/cannot be used: /);
        const wrong = await refusalOf({ password: 'canary-wrong' });
        expect(wrong).toBe(
          'the database of the store cannot be used: it does not take this user and password',
        );
      } finally {
        if (before === undefined) delete process.env['PGPASSWORD'];
        else process.env['PGPASSWORD'] = before;
      }
      expect(await refusalOf({ database: 'nowhere' })).toMatch(/there is no such database/);
      expect(await refusalOf({ port: 1 })).toMatch(/the connection fails with ECONNREFUSED/);
    });

    test('tells a database that does not flush what it acknowledges', async () => {
      // The servers of these tests run with -F.
      expect(await (await opened(fresh())).durable()).toBe(false);
    });
  });

  describe('the lead', () => {
    const node = (id: string) => ({ id, address: `https://${id}` });

    test('is had by one at a time, told to all, and free at once when it is given up', async () => {
      const table = fresh();
      const [a, b] = [await opened(table), await opened(table)];
      expect(await a.leadership.leader()).toBeUndefined();
      const tries = await Promise.all([
        a.leadership.campaign(node('a'), LONG_MS),
        b.leadership.campaign(node('b'), LONG_MS),
      ]);
      expect(tries.filter((epoch) => epoch !== undefined)).toEqual([1]);
      const [first, second] = tries[0] === undefined ? [b, a] : [a, b];
      expect([first.leadership.holds(), second.leadership.holds()]).toEqual([true, false]);
      const leader = await second.leadership.leader();
      expect(leader).toEqual({ ...node(tries[0] === undefined ? 'b' : 'a'), epoch: 1 });
      expect(await first.leadership.campaign(node('again'), LONG_MS)).toBe(1);
      await expect(second.commit([put('x')])).rejects.toMatchObject({ code: 'storage.fenced' });
      await first.leadership.resign();
      expect(first.leadership.holds()).toBe(false);
      expect(await second.leadership.campaign(node('c'), LONG_MS)).toBe(2);
      expect(await second.commit([put('x')])).toBe(1);
      await expect(first.commit([put('y')])).rejects.toMatchObject({ code: 'storage.fenced' });
    });

    test('once overtaken, a node writes nothing more, whatever it believes', async () => {
      const table = fresh();
      const [a, b] = [await opened(table), await opened(table)];
      await a.leadership.campaign(node('a'), 50);
      const revision = await a.commit([put('k', 'a')]);
      await until(async () => (await b.leadership.campaign(node('b'), LONG_MS)) !== undefined);
      expect(a.leadership.holds()).toBe(false);
      for (const checks of [[], [{ key: 'k', revision }]])
        await expect(a.commit([put('k', 'stale')], checks)).rejects.toMatchObject({ code: 'storage.fenced' });
      expect(await a.leadership.renew()).toBe(false);
      await b.commit([put('k', 'b')], [{ key: 'k', revision }]);
      const entry = await a.get('k');
      expect(entry && textOf(entry.value)).toBe('b');
      expect((await admin.query(`SELECT epoch, head FROM ${table}_state`)).rows).toEqual([
        { epoch: '2', head: '2' },
      ]);
    });

    test('that ran out and that nobody took is renewed, and goes on under its epoch', async () => {
      const table = fresh();
      const a = await opened(table);
      await a.leadership.campaign(node('a'), 20);
      await until(async () => (await a.leadership.leader()) === undefined);
      expect(a.leadership.holds()).toBe(false);
      expect(await a.commit([put('k')])).toBe(1);
      expect(await a.leadership.renew()).toBe(true);
      expect((await admin.query(`SELECT epoch FROM ${table}_state`)).rows).toEqual([{ epoch: '1' }]);
    });

    test('is never believed in by its holder once the database sees it ended', async () => {
      const a = await opened(fresh());
      for (let i = 0; i < 20; i++) {
        await a.leadership.campaign(node('a'), 5 + i);
        await until(async () => (await a.leadership.leader()) === undefined);
        expect(a.leadership.holds()).toBe(false);
        await a.leadership.resign();
      }
    });

    test('is one time of leading: renewed while it lasts, and over when another epoch has begun', async () => {
      const table = fresh();
      const a = await opened(table);
      const b = await opened(table);
      const pace = { ...PACE, ttlMs: 600, renewMs: 100 };
      const world = { clock: systemClock, log: silentLog, pace };
      const tenure = await Tenure.win(
        { id: 'a', address: 'https://a' },
        { leadership: a.leadership, ...world },
      );
      const others = { leadership: b.leadership, ...world };
      expect(await Tenure.win({ id: 'b', address: 'https://b' }, others)).toBeUndefined();
      await sleep(900);
      expect(tenure?.holds()).toBe(true);
      await admin.query(`UPDATE ${table}_state SET epoch = epoch + 1`);
      await until(() => tenure?.ended.aborted === true);
      expect(tenure?.holds()).toBe(false);
    });
  });

  describe('the feed', () => {
    const follow = (backend: PostgresBackend, after: number) => {
      const seen: Change[] = [];
      const done = (async () => {
        for await (const change of backend.changes(after, never)) seen.push(change);
      })().catch((error: unknown) => error);
      return { seen, done };
    };

    test('tells another node what was written, woken long before it would look by itself', async () => {
      const table = fresh();
      const a = await leading(table);
      const b = await opened(table, { pollMs: LONG_MS });
      const { seen, done } = follow(b, 0);
      for (let i = 0; i < 50; i++) await a.commit([put(`k${i}`), put('all')]);
      await until(() => seen.length === 50);
      expect(seen.map(({ revision }) => revision)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
      expect(seen[49]?.keys).toEqual(['k49', 'all']);
      await b.close();
      expect(codeOf(await done)).toBe('storage.closed');
    });

    test('tells what nobody was notified of', async () => {
      const table = fresh();
      const b = await opened(table, { pollMs: 20 });
      const { seen } = follow(b, 0);
      await until(async () => {
        const { rows } = await admin.query(
          `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN "${table}_feed"'`,
        );
        return rows.length > 0;
      });
      await admin.query(
        `INSERT INTO ${table}_changes VALUES (1, gen_random_uuid(), '{1}', ARRAY['k'::bytea])`,
      );
      await admin.query(`UPDATE ${table}_state SET head = 1`);
      await until(() => seen.length === 1);
      expect(seen).toEqual([{ revision: 1, keys: ['k'] }]);
    });

    test('is gone for what was trimmed, keeps what it promises, and is gone after a rollback of the database', async () => {
      const table = fresh();
      const a = await leading(table, { keptChanges: 10 });
      for (let i = 0; i < 40; i++) await a.commit([put('k', String(i))]);
      const next = (after: number) => a.changes(after, never)[Symbol.asyncIterator]().next();
      await expect(next(0)).rejects.toBeInstanceOf(Gone);
      expect((await next(30)).value).toEqual({ revision: 31, keys: ['k'] });
      const { rows } = await admin.query(`SELECT count(*)::int AS rows FROM ${table}_changes`);
      expect(rows[0].rows).toBeLessThanOrEqual(21);
      await admin.query(`UPDATE ${table}_state SET head = 5, turn = turn + 1`);
      await expect(next(40)).rejects.toBeInstanceOf(Gone);
    });

    test('a change with too many names to tell is kept whole, and makes followers begin anew', async () => {
      const a = await leading(fresh());
      const names = Array.from({ length: 2600 }, (_, i) => `${'x'.repeat(1800)}${i}`);
      const revision = await a.commit(names.map((name) => ({ key: name, value: new Uint8Array(1) })));
      expect((await a.get(names[2599] ?? ''))?.revision).toBe(revision);
      await expect(a.changes(0, never)[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(Gone);
      await a.commit([put('after')]);
      expect((await a.changes(revision, never)[Symbol.asyncIterator]().next()).value).toMatchObject({
        keys: ['after'],
      });
    });
  });

  test('a folder of twenty thousand lists whole, in byte order, and a folder beside it costs no look into it', async () => {
    const backend = await leading(fresh());
    const names = Array.from({ length: 20_000 }, (_, i) => `n${String(i).padStart(6, '0')}`);
    await backend.commit(names.map((name) => ({ key: `big/${name}`, value: new Uint8Array(8) })));
    await backend.commit([put('a'), put('c/d')]);
    expect(await backend.list('big/')).toEqual(names);
    expect(await backend.list('')).toEqual(['a', 'big/', 'c/']);
    expect(await backend.list('big/', { after: 'n019997' })).toEqual(['n019998', 'n019999']);
  });

  test('a scan whose connection dies fails, and never looks like a whole one', async () => {
    const table = fresh();
    const backend = await leading(table);
    await backend.commit(Array.from({ length: 2000 }, (_, i) => put(`k${i}`)));
    const scan = backend.scan('', never)[Symbol.asyncIterator]();
    await scan.next();
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()`,
    );
    const drain = async () => {
      for (;;) if ((await scan.next()).done) return;
    };
    await expect(drain()).rejects.toMatchObject({ code: 'storage.database' });
    const again = backend.scan('', never)[Symbol.asyncIterator]();
    await again.next();
    await backend.close();
    await expect(again.next()).rejects.toMatchObject({ code: 'storage.closed' });
  });

  test('a barrier keeps its secrets there, whole, and finds an entry that was rolled back', async () => {
    const table = fresh();
    const backend = await leading(table);
    const barrier = new Barrier(backend);
    const key = new Uint8Array(32).fill(7);
    await barrier.initialize(key);
    await barrier.unseal(key);
    const view = barrier.view('secret/');
    await view.commit([put('a', 'canary-one')]);
    const { rows } = await admin.query(`SELECT value FROM ${table} WHERE key = 'secret/a'`);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => view.commit([put('a', `canary-${i}`), put(`k${i}`)])),
    );
    expect(await barrier.verify(never)).toMatchObject({ set: 'matches', damaged: [] });
    const all = await admin.query(`SELECT string_agg(encode(value, 'escape'), '') AS text FROM ${table}`);
    expect(all.rows[0].text).not.toContain('canary');
    await admin.query(`UPDATE ${table} SET value = $1 WHERE key = 'secret/a'`, [rows[0].value]);
    expect(await barrier.verify(never)).toMatchObject({ set: 'differs' });
    await barrier.seal();
  });

  describe('over a network that fails', () => {
    let proxy: CuttingProxy;
    let table: string;
    let cut: PostgresBackend;
    let direct: PostgresBackend;
    beforeEach(async () => {
      table = fresh();
      proxy = await startCuttingProxy(postgres.port);
      cut = await leading(table, {
        target: target({ port: proxy.port }),
        settleMs: 300,
        statementTimeoutMs: 1500,
        maxParallel: 2,
      });
      direct = await opened(table);
    });
    afterEach(async () => {
      proxy.arm(undefined);
      proxy.swallow(false);
      await cut.close();
      await proxy.close();
    });

    test('each acknowledged write is there, each refused one is not, and none is half, wherever a commit is cut', async () => {
      const outcomes: Record<string, number> = {};
      const acknowledged = new Map<number, string>();
      let hits = 0;
      for (let run = 0; run < RUNS; run++) {
        const from = run % 3 === 0 ? 'server' : 'client';
        const bytes = Math.random() < 0.5 ? 0 : 1 + Math.floor(Math.random() * 40);
        const late = from === 'client' && run % 3 === 1 ? { lateMs: Math.floor(Math.random() * 60) } : {};
        // A statement is four or five messages of the client, and as many of the server. Where something is checked, the
        // connection that reads is cut more often than the one that writes.
        const messages = Math.floor(Math.random() * 5);
        proxy.arm({ from, messages, bytes, down: run % 5 === 0, ...late });
        const asked = Array.from({ length: 4 }, async (_, i) => {
          const name = `${run}.${i}`;
          const checks = i === 1 && run % 2 === 0 ? [{ key: `a/${name}`, revision: 0 }] : [];
          return cut.commit([put(`a/${name}`), put(`b/${name}`)], checks).then(
            (revision) => ({ name, revision, code: 'acknowledged' }),
            (error: unknown) => ({ name, revision: 0, code: codeOf(error) }),
          );
        });
        const results = await Promise.all(asked);
        if (proxy.hit) hits++;
        proxy.arm(undefined);
        for (const { name, revision, code } of results) {
          outcomes[code] = (outcomes[code] ?? 0) + 1;
          const halves = await Promise.all([direct.get(`a/${name}`), direct.get(`b/${name}`)]);
          const revisions = halves.map((entry) => entry?.revision ?? 0);
          expect(revisions[0]).toBe(revisions[1]);
          expect(['acknowledged', 'storage.write', 'storage.unknown']).toContain(code);
          if (code !== 'storage.unknown') expect(revisions[0]).toBe(revision);
          if (code === 'acknowledged') acknowledged.set(revision, name);
        }
      }
      console.log(`${RUNS} runs, ${hits} connections cut:`, outcomes);
      expect(hits).toBeGreaterThan(RUNS / 2);
      expect(Object.keys(outcomes)).toContain('storage.unknown');
      // What was on its way late has arrived by now, and has done nothing.
      await sleep(200);
      const kept: string[] = [];
      for await (const { key, revision } of direct.scan('a/', never)) {
        kept.push(key);
        expect(acknowledged.get(revision) ?? key.slice(2)).toBe(key.slice(2));
      }
      expect(kept.length - acknowledged.size).toBeLessThanOrEqual(outcomes['storage.unknown'] ?? 0);
      const told: number[] = [];
      for await (const { revision, keys } of direct.changes(0, never)) {
        told.push(revision);
        const name = acknowledged.get(revision);
        if (name !== undefined) expect(keys).toEqual([`a/${name}`, `b/${name}`]);
        if (revision === (await direct.head())) break;
      }
      expect(told).toEqual([...new Set(told)].sort((x, y) => x - y));
      expect([...acknowledged.keys()].every((revision) => told.includes(revision))).toBe(true);
    });

    test('a batch that arrives after its outcome was told does nothing, even where nothing came between', async () => {
      const head = await cut.commit([put('a')]);
      proxy.arm({ from: 'client', messages: 0, bytes: 0, lateMs: 1000, down: true });
      await expect(cut.commit([put('late')])).rejects.toMatchObject({ code: 'storage.unknown' });
      expect(proxy.hit).toBe(true);
      proxy.arm(undefined);
      expect(await cut.commit([], [{ key: 'late', revision: 0 }])).toBe(head);
      await sleep(1500);
      expect(await direct.get('late')).toBeUndefined();
      expect(await direct.head()).toBe(head);
      expect(await cut.commit([put('next')])).toBe(head + 1);
    });

    test('a commit that a network swallows ends, and so does a read; both work again when it is back', async () => {
      await cut.commit([put('a')]);
      proxy.swallow(true);
      const [write, next, read] = await Promise.all([
        cut.commit([put('b')]).catch(codeOf),
        cut.commit([put('c')], [{ key: 'c', revision: 0 }]).catch(codeOf),
        cut.get('a').catch(codeOf),
      ]);
      expect(['storage.unknown', 'storage.write']).toContain(write);
      expect(['storage.unknown', 'storage.write']).toContain(next);
      expect(read).toBe('storage.database');
      proxy.swallow(false);
      await until(() => cut.commit([put('d')]).then(Boolean, () => false));
      expect((await direct.get('d'))?.revision).toBe(await direct.head());
    });

    test('a database that crashes and comes back is gone on with, without a restart of this server', async () => {
      const told = new Set<string>();
      const follow = (async () => {
        for await (const { keys } of direct.changes(0, never)) for (const key of keys) told.add(key);
      })().catch(codeOf);
      const acknowledged: string[] = [];
      let going = true;
      const writers = Array.from({ length: 8 }, async (_, w) => {
        for (let i = 0; going; i++) {
          const key = `w/${w}.${i}`;
          await cut.commit([put(key)]).then(
            () => acknowledged.push(key),
            (error: unknown) => {
              expect(['storage.write', 'storage.unknown']).toContain(codeOf(error));
              return sleep(20);
            },
          );
        }
      });
      await until(() => acknowledged.length > 50);
      await postgres.restart();
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 50);
      going = false;
      await Promise.all(writers);
      const kept = new Set<string>();
      for await (const { key } of cut.scan('w/', never)) kept.add(key);
      expect(acknowledged.filter((key) => !kept.has(key))).toEqual([]);
      await until(() => acknowledged.every((key) => told.has(key)));
      await direct.close();
      expect(await follow).toBe('storage.closed');
      await login();
    });
  });

  test('TLS is asked for, verified by name and authority, and refused where the server has none', async () => {
    expect(await refusalOf({ tls: { mode: 'require' } })).toMatch(/it speaks no TLS, which sslmode asks for/);
    expect(await refusalOf({ tls: { mode: 'prefer' } })).toBe('opened');
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-pg-tls-'));
    try {
      const authority = await createAuthority('the database of a test');
      const issued = await issueCertificate(authority, { names: ['localhost'], ips: [] });
      const caFile = join(folder, 'ca.pem');
      writeFileSync(caFile, authority.certificate);
      writeFileSync(join(folder, 'server.pem'), issued.certificate);
      writeFileSync(join(folder, 'server.key'), issued.key, { mode: 0o600 });
      if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', folder]);
      await admin.query(`ALTER SYSTEM SET ssl_cert_file = '${folder}/server.pem'`);
      await admin.query(`ALTER SYSTEM SET ssl_key_file = '${folder}/server.key'`);
      await admin.query('ALTER SYSTEM SET ssl = on');
      await admin.query('SELECT pg_reload_conf()');
      await until(async () => (await refusalOf({ tls: { mode: 'require' } })) === 'opened');
      const host = 'localhost';
      expect(await refusalOf({ host, tls: { mode: 'verify-full', caFile } })).toBe('opened');
      expect(await refusalOf({ tls: { mode: 'verify-ca', caFile } })).toBe('opened');
      expect(await refusalOf({ tls: { mode: 'verify-full', caFile } })).toMatch(
        /ERR_TLS_CERT_ALTNAME_INVALID/,
      );
      expect(await refusalOf({ host, tls: { mode: 'verify-full' } })).toMatch(/the connection fails with /);
      expect(await refusalOf({ host, tls: { mode: 'verify-full', caFile: `${folder}/none` } })).toMatch(
        /cannot be read/,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
