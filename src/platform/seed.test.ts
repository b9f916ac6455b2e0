import { compareSync } from 'bcryptjs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failure } from '../base/errors.ts';
import { constraintsOn, readMatrix, readValues, type SeedEntry } from './matrix.ts';
import {
  PLAINTEXT_MOUNT,
  type Seeded,
  type SeedOptions,
  type SeedRequest,
  type SeedStore,
  seed,
} from './seed.ts';

const CANARY = 'canary-7f3a';

/** A store in memory that keeps every version, and can refuse or lose races. */
class FakeStore implements SeedStore {
  readonly paths = new Map<string, Record<string, string>>();
  readonly mounts = new Set<string>();
  writes = 0;
  denied: 'patch' | 'read' | undefined;
  raceOnce: string | undefined;
  drawn = 0;

  async read(path: string) {
    if (this.denied === 'read') throw failure('request.denied');
    return this.paths.get(path);
  }

  async patch(path: string, data: Record<string, string>) {
    if (this.denied === 'patch') throw failure('request.denied');
    const current = this.paths.get(path);
    if (current === undefined) {
      if (this.raceOnce === path) this.paths.set(path, { theirs: 'x' });
      return 'absent' as const;
    }
    this.paths.set(path, { ...current, ...data });
    this.writes++;
    return 'done' as const;
  }

  async create(path: string, data: Record<string, string>) {
    if (this.paths.has(path)) return 'exists' as const;
    this.paths.set(path, { ...data });
    this.writes++;
    return 'done' as const;
  }

  async random(bytes: number, encoding: 'base64' | 'hex') {
    this.drawn++;
    return Buffer.alloc(bytes, this.drawn).toString(encoding);
  }

  async ensureMount(mount: string) {
    this.mounts.add(mount);
  }
}

const entry = (over: Partial<SeedEntry> = {}): SeedEntry => ({
  path: 'secret/app/a',
  key: 'k',
  variable: 'V',
  encoding: 'base64',
  hash: 'none',
  constraints: {},
  ...over,
});

async function run(
  store: SeedStore,
  requests: SeedRequest[],
  options: SeedOptions = { mode: 'demo' },
): Promise<Seeded[]> {
  const done: Seeded[] = [];
  for await (const one of seed(store, requests, options)) done.push(one);
  return done;
}

test('several keys share a path, and what others keep there stays', async () => {
  const store = new FakeStore();
  store.paths.set('secret/app/a', { theirs: 'kept' });
  await run(store, [
    { entry: entry({ key: 'one' }), given: '1' },
    { entry: entry({ key: 'two' }), given: '2' },
  ]);
  expect(store.paths.get('secret/app/a')).toEqual({ theirs: 'kept', one: '1', two: '2' });
});

test('a refusal is not an absence: nothing is put over the neighbours', async () => {
  for (const denied of ['patch', 'read'] as const) {
    const store = new FakeStore();
    store.paths.set('secret/app/a', { theirs: 'kept' });
    store.denied = denied;
    await expect(run(store, [{ entry: entry(), given: 'x' }])).rejects.toThrow('permission denied');
    expect(store.paths.get('secret/app/a')).toEqual({ theirs: 'kept' });
  }
});

test('somebody who creates the path in between loses nothing', async () => {
  const store = new FakeStore();
  store.raceOnce = 'secret/app/a';
  await run(store, [{ entry: entry(), given: 'x' }]);
  expect(store.paths.get('secret/app/a')).toEqual({ theirs: 'x', k: 'x' });
});

test('a random value is made once, kept afterwards, and made anew only by name', async () => {
  const store = new FakeStore();
  const requests = [
    { entry: entry({ key: 'a' }), given: '' },
    { entry: entry({ key: 'b' }), given: undefined },
  ];
  expect((await run(store, requests)).map((s) => s.outcome)).toEqual(['generated', 'generated']);
  const before = { ...store.paths.get('secret/app/a') };
  expect((await run(store, requests)).map((s) => s.outcome)).toEqual(['kept', 'kept']);
  expect(
    (await run(store, requests, { mode: 'production', rotate: new Set(['secret/app/a#b']) })).map(
      (s) => s.outcome,
    ),
  ).toEqual(['kept', 'rotated']);
  expect(store.paths.get('secret/app/a')?.['a']).toBe(before['a']);
  expect(store.paths.get('secret/app/a')?.['b']).not.toBe(before['b']);
});

describe('a hash', () => {
  const hashed = entry({ hash: 'bcrypt' });

  test('is bcrypt of cost 10 with the prefix $2y$, and its text is kept in the mount of the administrators', async () => {
    const store = new FakeStore();
    const [done] = await run(store, [{ entry: hashed, given: '' }]);
    const stored = store.paths.get('secret/app/a')?.['k'] ?? '';
    const text = store.paths.get(`${PLAINTEXT_MOUNT}/secret/app/a`)?.['k'] ?? '';
    expect(stored).toMatch(/^\$2y\$10\$/);
    expect(compareSync(text, stored.replace('$2y$', '$2b$'))).toBe(true);
    expect(done?.plaintextAt).toBe(`${PLAINTEXT_MOUNT}/secret/app/a`);
    expect(store.mounts).toEqual(new Set([PLAINTEXT_MOUNT]));
  });

  test('of the same given text is not written again', async () => {
    const store = new FakeStore();
    await run(store, [{ entry: hashed, given: 'argo' }]);
    const writes = store.writes;
    expect((await run(store, [{ entry: hashed, given: 'argo' }]))[0]?.outcome).toBe('kept');
    expect(store.writes).toBe(writes);
    expect((await run(store, [{ entry: hashed, given: 'other' }]))[0]?.outcome).toBe('stored');
  });

  test('of more than 72 bytes is refused, because bcrypt would drop the rest', async () => {
    await expect(run(new FakeStore(), [{ entry: hashed, given: 'x'.repeat(73) }])).rejects.toThrow(
      '72 bytes',
    );
  });
});

test('production takes no value from a file, and says so before anything is written', async () => {
  const store = new FakeStore();
  const requests = [
    { entry: entry({ key: 'a' }), given: '' },
    { entry: entry({ key: 'b' }), given: CANARY },
  ];
  const message = await run(store, requests, { mode: 'production' }).catch((error: Error) => error.message);
  expect(message).toContain('production mode takes no value from V');
  expect(message).not.toContain(CANARY);
  expect(store.paths.size).toBe(0);
});

test('what SonarQube would refuse is refused here, without the value', async () => {
  const sonar = entry({
    path: 'secret/sonarqube/admin',
    key: 'password',
    constraints: constraintsOn('secret/sonarqube/admin', 'password'),
  });
  for (const given of [`${CANARY.toUpperCase().slice(0, 6)}`, `${CANARY}${CANARY}`]) {
    const message = await run(new FakeStore(), [{ entry: sonar, given }]).catch(
      (error: Error) => error.message,
    );
    expect(message).toMatch(/at least (12 characters|1 upper case letter)/);
    expect(message).not.toContain(given);
  }
  expect((await run(new FakeStore(), [{ entry: sonar, given: 'Sonar-Secret-123' }]))[0]?.outcome).toBe(
    'stored',
  );
});

test('a second start leaves what people changed since', async () => {
  const store = new FakeStore();
  await run(store, [{ entry: entry(), given: 'demo' }]);
  store.paths.set('secret/app/a', { k: 'changed' });
  expect(
    (await run(store, [{ entry: entry(), given: 'demo' }], { mode: 'demo', onlyMissing: true }))[0]?.outcome,
  ).toBe('kept');
  expect(store.paths.get('secret/app/a')).toEqual({ k: 'changed' });
});

test('whatever the order and number of runs, no key of others is lost and no random value changes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('p', 'q'), fc.constantFrom('a', 'b', 'c'), fc.boolean()), {
        maxLength: 20,
      }),
      async (steps) => {
        const store = new FakeStore();
        store.paths.set('secret/app/p', { theirs: 'kept' });
        const first = new Map<string, string>();
        for (const [folder, key, random] of steps) {
          const path = `secret/app/${folder}`;
          await run(store, [
            { entry: entry({ path, key: random ? `r-${key}` : key }), given: random ? '' : key },
          ]);
          if (random) {
            const now = store.paths.get(path)?.[`r-${key}`] ?? '';
            expect(first.get(`${path}#${key}`) ?? now).toBe(now);
            first.set(`${path}#${key}`, now);
          }
        }
        expect(store.paths.get('secret/app/p')?.['theirs']).toBe('kept');
      },
    ),
    { numRuns: 50 },
  );
});

describe('the matrix', () => {
  const matrix = (text: string) => readMatrix('secrets.yaml', text);

  test('is read with its mapping to config.toml', () => {
    const read = matrix(
      "vars: {A: passwords.a}\nSECRETS:\n  - {path: 'secret/x/y', key: k, var: A, enc: hex, hash: bcrypt}\n  - {path: secret/x/y, key: l, var: ''}\n",
    );
    expect(read.entries.map((e) => [e.path, e.key, e.variable, e.encoding, e.hash])).toEqual([
      ['secret/x/y', 'k', 'A', 'hex', 'bcrypt'],
      ['secret/x/y', 'l', '', 'base64', 'none'],
    ]);
    const values = readValues('config.toml', '[passwords]\na = "argo"\nempty = ""\n');
    expect([
      values('passwords.a'),
      values('passwords.empty'),
      values('passwords.none'),
      values('passwords.__proto__'),
    ]).toEqual(['argo', '', undefined, undefined]);
  });

  test.each([
    ['an entry without a key', 'SECRETS: [{path: secret/x}]', 'SECRETS.0.key'],
    ['an unknown field', 'SECRETS: [{path: secret/x, key: k, value: hunter2}]', 'SECRETS.0'],
    ['a path that ends in a slash', 'SECRETS: [{path: secret/x/, key: k}]', 'expected a path'],
    [
      'a variable nobody maps',
      'SECRETS: [{path: secret/x, key: k, var: V}]',
      'no key of config.toml is given for V',
    ],
    ['the same key twice', 'SECRETS: [{path: secret/x, key: k}, {path: secret/x, key: k}]', 'stands twice'],
    ['nothing', '', 'secrets.yaml:1'],
  ])('refuses %s', (_, text, expected) => {
    expect(() => matrix(text)).toThrow(expected);
  });
});
