/**
 * What is kept in memory never shows: random lives of a server, against the same server that keeps nothing. Several callers
 * with rights that come and go read the same paths, while secrets, policies, tokens, identities and mounts change under them,
 * the clock moves and the barrier closes and opens. Every answer must be the same from both, but for what is drawn at random.
 *
 * HOLDFAST_CACHE_RUNS asks for more lives than `npm test` has time for.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ManualClock } from '../base/clock.ts';
import { type Json, parseJson } from '../base/json.ts';
import { silentLog } from '../base/log.ts';
import { asFolder, KeptPath, parsePath } from '../base/path.ts';
import { kv } from '../engines/kv/index.ts';
import { operation, type PluginType, type Verb } from '../plugin/plugin.ts';
import { MemoryBackend } from '../storage/memory.ts';
import type { Backend } from '../storage/storage.ts';
import { AtOnce } from '../storage/testing-atonce.ts';
import { envelopeText } from './core/envelope.ts';
import type { Answer } from './core/request.ts';
import { createServer, type Server } from './server.ts';

const RUNS = Number(process.env.HOLDFAST_CACHE_RUNS ?? 60);

/** Lets in whoever names himself: identities without passwords. */
const named: PluginType = {
  name: 'named',
  kind: 'auth',
  create: () => ({
    routes: [
      {
        path: 'login/:name',
        access: 'public',
        operations: {
          write: operation({
            summary: 'Log in.',
            input: z.object({ name: z.string(), uses: z.number().default(0), ttl: z.number().default(0) }),
            output: z.object({}),
            effect: 'write',
            run: ({ name, uses, ttl }) => ({
              auth: {
                displayName: name,
                policies: [],
                metadata: {},
                alias: { name },
                token: {
                  ttlMs: ttl,
                  maxTtlMs: 0,
                  explicitMaxTtlMs: 0,
                  periodMs: 0,
                  uses,
                  type: 'default',
                  noDefaultPolicy: false,
                  boundCidrs: [],
                  renewable: true,
                },
              },
            }),
          }),
        },
      },
    ],
  }),
};

const POLICIES: readonly string[] = [
  'path "secret/data/*" { capabilities = ["read"] }',
  'path "secret/*" { capabilities = ["read", "list", "update", "create", "patch", "delete"] }',
  'path "secret/data/a" { capabilities = ["deny"] }',
  'path "secret/data/+/b" { capabilities = ["read"] }',
  'path "secret/data/{{identity.entity.name}}" { capabilities = ["read"] }',
  'path "secret/data/{{identity.entity.metadata.team}}/b" { capabilities = ["read"] }',
  'path "plain/*" { capabilities = ["read"] }\npath "moved/*" { capabilities = ["read"] }',
  'path "secret/metadata/*" { capabilities = ["read", "list"] }',
  'path "auth/token/*" { capabilities = ["read", "update", "create"] }',
];

/** One of the two servers, with the names by which the steps know what it drew at random. */
class Life {
  readonly clock = new ManualClock();
  readonly #backend: Backend;
  readonly #keeps: boolean;
  #server!: Server;
  #keys: readonly Uint8Array[] = [];
  #root = '';
  readonly #tokens = new Map<number, string>();
  readonly #paths = new Map<string, KeptPath>();
  readonly #senders = new Map<string, object>();

  /** @param backend of which what is read is kept from the first time on, or from the second where it is at hand */
  constructor(backend: Backend, keeps: boolean) {
    this.#backend = backend;
    this.#keeps = keeps;
  }

  async begin(): Promise<void> {
    this.#server = await createServer({
      backend: this.#backend,
      plugins: [kv, named],
      clock: this.clock,
      log: silentLog,
      dial: async () => ({ status: 599, body: new Uint8Array() }),
      ...(this.#keeps ? {} : { cacheBytes: 0 }),
    });
    const { keys, rootToken } = await this.#server.seal.initialize(1, 1);
    this.#keys = keys;
    this.#root = rootToken;
    for (const key of keys) await this.#server.seal.submit(key);
    await this.admin('write', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await this.admin('write', 'sys/mounts/plain', { type: 'kv' });
    await this.admin('write', 'sys/auth/named', { type: 'named' });
    for (const name of ['alice', 'bob']) {
      await this.admin('write', 'identity/entity', { name });
      await this.alias(name);
    }
  }

  /** Makes who logs in under this name the entity of this name. */
  async alias(name: string): Promise<string> {
    const login = this.#server.core.services()?.mounts.get('auth/named/');
    return this.admin('write', 'identity/entity-alias', {
      name,
      canonical_id: await this.#entity(name),
      mount_accessor: login?.entry.accessor ?? '',
    });
  }

  end(): Promise<void> {
    return this.#server.close();
  }

  admin(verb: Verb, path: string, data?: Record<string, Json>): Promise<string> {
    return this.#ask(verb, path, this.#root, data);
  }

  /** As the holder of the token in the slot; nobody where it is empty. */
  as(slot: number, verb: Verb, path: string, data?: Record<string, Json>): Promise<string> {
    return this.#ask(verb, path, this.#tokens.get(slot), data);
  }

  /** Asks with the token that is given, and keeps the one that comes back in the slot. */
  async gain(slot: number, path: string, data: Record<string, Json>, by?: number): Promise<string> {
    const token = by === undefined ? this.#root : this.#tokens.get(by);
    const answer = await this.#answer('write', path, token, data);
    if (answer.kind === 'envelope' && answer.envelope.auth)
      this.#tokens.set(slot, answer.envelope.auth.token);
    return textOf(answer);
  }

  async revoke(slot: number): Promise<string> {
    return this.admin('write', 'auth/token/revoke', { token: this.#tokens.get(slot) ?? 'none' });
  }

  async renew(slot: number, increment: number): Promise<string> {
    return this.admin('write', 'auth/token/renew', { token: this.#tokens.get(slot) ?? 'none', increment });
  }

  /** Puts an entity of this name into the group, and nobody else. */
  async group(name: string, policies: readonly string[], member: string): Promise<string> {
    const id = await this.#entity(member);
    return this.admin('write', `identity/group/name/${name}`, {
      policies,
      member_entity_ids: id === '' ? [] : [id],
    });
  }

  async #entity(name: string): Promise<string> {
    const found = await this.#answer('read', `identity/entity/name/${name}`, this.#root);
    return found.kind === 'envelope' ? (found.envelope.data as { id: string }).id : '';
  }

  async reopen(): Promise<void> {
    await this.#server.seal.seal();
    for (const key of this.#keys) await this.#server.seal.submit(key);
  }

  async wait(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settled();
  }

  async #ask(verb: Verb, path: string, token?: string, data?: Record<string, Json>): Promise<string> {
    return textOf(await this.#answer(verb, path, token, data));
  }

  async #answer(verb: Verb, path: string, token?: string, data?: Record<string, Json>): Promise<Answer> {
    if (!this.#keeps) {
      const open = this.#server.core.services();
      open?.policies.forget();
      open?.identity.forget();
    }
    const parsed = this.#keeps ? this.#kept(path) : parsePath(path);
    return this.#server.handle({
      verb,
      path: verb === 'list' ? asFolder(parsed) : parsed,
      headers: {},
      remote: { address: '', port: 0 },
      signal: new AbortController().signal,
      ...(token === undefined ? {} : { token, ...this.#sender(token) }),
      ...(data === undefined ? {} : { data }),
    });
  }

  /** As the listener knows who sends the same token again. */
  #sender(token: string): { readonly sender?: object } {
    const sender = this.#senders.get(token);
    if (sender === undefined) this.#senders.set(token, {});
    return this.#keeps && sender !== undefined ? { sender } : {};
  }

  /** As the listener has a path that is asked for again and again: what it leads to is kept with it. */
  #kept(text: string): KeptPath {
    const known = this.#paths.get(text) ?? new KeptPath(parsePath(text));
    this.#paths.set(text, known);
    return known;
  }
}

/** What becomes due is done in turns of the loop of its own. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const RANDOM =
  /hvs\.\w+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<="(?:accessor|wrapped_accessor)":")\w+/g;

function textOf(answer: Answer): string {
  switch (answer.kind) {
    case 'envelope':
      return `${answer.status ?? 200} ${envelopeText(answer.envelope)}`.replace(RANDOM, '*');
    case 'failed':
      return `${answer.failure.code} ${answer.failure.message}`.replace(RANDOM, '*');
    default:
      return answer.kind;
  }
}

interface Step {
  readonly name: string;
  run(life: Life): Promise<unknown>;
}

const step = (name: string, run: Step['run']): Step => ({ name, run });

const slot = fc.nat(4);
const path = fc.constantFrom('a', 'b', 'x/b', 'alice', 'red/b');
const number = fc.nat(4);
const who = fc.constantFrom('alice', 'bob');
const policy = fc.constantFrom('p0', 'p1', 'p2');
const policies = fc.subarray(['p0', 'p1', 'p2']);
/** What a double would change, so that a number that was parsed on its way shows. */
const value = fc.constantFrom('1', '12345678901234567890', '1.0', '-0', '"x"');

const reads: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(slot, path, number)
    .map(([by, at, of]) =>
      step(`${by} reads ${at} version ${of}`, (life) =>
        life.as(by, 'read', `secret/data/${at}`, of === 0 ? {} : { version: of }),
      ),
    ),
  fc
    .tuple(slot, path)
    .map(([by, at]) => step(`${by} reads ${at}`, (life) => life.as(by, 'read', `secret/data/${at}`))),
  fc
    .tuple(slot, path)
    .map(([by, at]) => step(`${by} reads plain ${at}`, (life) => life.as(by, 'read', `plain/${at}`))),
  fc
    .tuple(slot, path)
    .map(([by, at]) => step(`${by} reads moved ${at}`, (life) => life.as(by, 'read', `moved/data/${at}`))),
  fc
    .tuple(slot, path)
    .map(([by, at]) =>
      step(`${by} reads the metadata of ${at}`, (life) => life.as(by, 'read', `secret/metadata/${at}`)),
    ),
  fc
    .tuple(slot, path)
    .map(([by, at]) =>
      step(`${by} reads subkeys of ${at}`, (life) => life.as(by, 'read', `secret/subkeys/${at}`)),
    ),
  slot.map((by) => step(`${by} lists`, (life) => life.as(by, 'list', 'secret/metadata/'))),
  slot.map((by) => step(`${by} looks itself up`, (life) => life.as(by, 'read', 'auth/token/lookup-self'))),
);

const json = (text: string): Json => parseJson(`{"v":${text}}`);

const secrets: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(path, value, fc.option(number, { nil: undefined, freq: 3 })).map(([at, v, cas]) =>
    step(`put ${at} ${v} cas ${cas}`, (life) =>
      life.admin('write', `secret/data/${at}`, {
        data: json(v),
        ...(cas === undefined ? {} : { options: { cas } }),
      }),
    ),
  ),
  fc
    .tuple(path, value)
    .map(([at, v]) => step(`put plain ${at} ${v}`, (life) => life.admin('write', `plain/${at}`, { v }))),
  path.map((at) => step(`delete plain ${at}`, (life) => life.admin('delete', `plain/${at}`))),
  fc
    .tuple(path, value)
    .map(([at, v]) =>
      step(`patch ${at} ${v}`, (life) => life.admin('patch', `secret/data/${at}`, { data: json(v) })),
    ),
  path.map((at) => step(`delete ${at}`, (life) => life.admin('delete', `secret/data/${at}`))),
  // What was decided about the one must not stand for the other.
  fc
    .tuple(slot, path)
    .map(([by, at]) =>
      step(`${by} reads and deletes ${at}`, async (life) => [
        await life.as(by, 'read', `secret/data/${at}`),
        await life.as(by, 'delete', `secret/data/${at}`),
      ]),
    ),
  fc
    .tuple(fc.constantFrom('delete', 'undelete', 'destroy'), path, number)
    .map(([what, at, of]) =>
      step(`${what} ${at} ${of}`, (life) => life.admin('write', `secret/${what}/${at}`, { versions: [of] })),
    ),
  fc
    .tuple(path, fc.constantFrom('0s', '1s', '-1s'), fc.boolean(), fc.nat(3), value)
    .map(([at, after, cas, most, word]) =>
      step(`metadata ${at} ${after} ${cas} ${most}`, (life) =>
        life.admin('write', `secret/metadata/${at}`, {
          delete_version_after: after,
          cas_required: cas,
          max_versions: most,
          custom_metadata: { word },
        }),
      ),
    ),
  path.map((at) => step(`forget ${at}`, (life) => life.admin('delete', `secret/metadata/${at}`))),
  fc
    .constantFrom('0s', '1s')
    .map((after) =>
      step(`config ${after}`, (life) =>
        life.admin('write', 'secret/config', { delete_version_after: after }),
      ),
    ),
);

const rights: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(policy, fc.nat(POLICIES.length - 1))
    .map(([name, text]) =>
      step(`policy ${name} ${text}`, (life) =>
        life.admin('write', `sys/policies/acl/${name}`, { policy: POLICIES[text] ?? '' }),
      ),
    ),
  policy.map((name) => step(`no policy ${name}`, (life) => life.admin('delete', `sys/policies/acl/${name}`))),
  fc
    .tuple(slot, policies, fc.constantFrom('1s', '1m', '1h'), fc.constantFrom(0, 0, 0, 2))
    .map(([to, of, ttl, uses]) =>
      step(`token ${to} ${of} ${ttl} ${uses}`, (life) =>
        life.gain(to, 'auth/token/create', { policies: of, ttl, num_uses: uses }),
      ),
    ),
  fc
    .tuple(slot, slot, policies)
    .map(([to, by, of]) =>
      step(`${by} makes token ${to} ${of}`, (life) =>
        life.gain(to, 'auth/token/create', { policies: of }, by),
      ),
    ),
  slot.map((of) => step(`revoke ${of}`, (life) => life.revoke(of))),
  slot.map((of) => step(`renew ${of}`, (life) => life.renew(of, 60))),
  fc
    .tuple(slot, who)
    .map(([to, name]) =>
      step(`${to} logs in as ${name}`, (life) => life.gain(to, `auth/named/login/${name}`, {})),
    ),
  fc
    .tuple(who, policies, fc.boolean(), fc.constantFrom('red', 'x', '*'))
    .map(([name, of, disabled, team]) =>
      step(`entity ${name} ${of} ${disabled} ${team}`, (life) =>
        life.admin('write', `identity/entity/name/${name}`, { policies: of, disabled, metadata: { team } }),
      ),
    ),
  who.map((name) => step(`alias ${name}`, (life) => life.alias(name))),
  who.map((name) =>
    step(`no entity ${name}`, (life) => life.admin('delete', `identity/entity/name/${name}`)),
  ),
  fc
    .tuple(policies, who)
    .map(([of, member]) => step(`group ${of} ${member}`, (life) => life.group('g', of, member))),
);

const upheavals: fc.Arbitrary<Step> = fc.oneof(
  fc.constant(
    step('mount anew', async (life) => [
      await life.admin('delete', 'sys/mounts/secret'),
      await life.admin('write', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } }),
    ]),
  ),
  fc.constant(
    step('move away', (life) => life.admin('write', 'sys/remount', { from: 'secret', to: 'moved' })),
  ),
  fc.constant(
    step('move back', (life) => life.admin('write', 'sys/remount', { from: 'moved', to: 'secret' })),
  ),
  fc.constant(step('tune', (life) => life.admin('write', 'sys/mounts/secret/tune', { description: 'x' }))),
  fc.constant(step('seal and unseal', (life) => life.reopen())),
  fc.constant(
    step('login method anew', async (life) => [
      await life.admin('delete', 'sys/auth/named'),
      await life.admin('write', 'sys/auth/named', { type: 'named' }),
      await life.alias('alice'),
    ]),
  ),
);

const times: fc.Arbitrary<Step> = fc
  .constantFrom(1, 999, 1000, 61_000, 3_600_000)
  .map((ms) => step(`${ms} ms pass`, (life) => life.wait(ms)));

/** A write and reads at once: what the reads see is open, what is seen afterwards is not. */
const races: fc.Arbitrary<Step> = fc.tuple(secrets, reads, reads).map(([write, one, two]) =>
  step(`${one.name} | ${write.name} | ${two.name}`, async (life) => {
    const [, told] = await Promise.all([one.run(life), write.run(life), two.run(life)]);
    await settled();
    return told;
  }),
);

/** The same read twice, so that the second comes from memory. */
const again: fc.Arbitrary<Step> = reads.map((read) =>
  step(`twice: ${read.name}`, async (life) => [await read.run(life), await read.run(life)]),
);

const life = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: again },
    { weight: 4, arbitrary: reads },
    { weight: 7, arbitrary: secrets },
    { weight: 6, arbitrary: rights },
    { weight: 2, arbitrary: races },
    { weight: 2, arbitrary: times },
    { weight: 1, arbitrary: upheavals },
  ),
  { minLength: 20, maxLength: 60, size: 'max' },
);

/** Rights from the start, so that most lives read something. */
const START: readonly Step[] = [
  step('policy', (life) => life.admin('write', 'sys/policies/acl/p0', { policy: POLICIES[1] ?? '' })),
  step('policy', (life) => life.admin('write', 'sys/policies/acl/p1', { policy: POLICIES[4] ?? '' })),
  ...[0, 1].map((to) => step('token', (life) => life.gain(to, 'auth/token/create', { policies: ['p0'] }))),
  ...[2, 3].map((to) => step('login', (life) => life.gain(to, 'auth/named/login/alice', {}))),
  step('entity', (life) => life.admin('write', 'identity/entity/name/alice', { policies: ['p1'] })),
  ...['a', 'alice'].map((at) =>
    step('put', (life) => life.admin('write', `secret/data/${at}`, { data: { v: 1 } })),
  ),
];

test('a server that keeps what it read answers as one that keeps nothing, whatever changes under it', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(life, fc.boolean(), async (steps, atHand) => {
      const kept = new Life(atHand ? new AtOnce() : new MemoryBackend(), true);
      const plain = new Life(new MemoryBackend(), false);
      await Promise.all([kept.begin(), plain.begin()]);
      try {
        const names: string[] = [];
        for (const { name, run } of [...START, ...steps]) {
          names.push(name);
          const [from, wanted] = [await run(kept), await run(plain)];
          expect({ names, answer: from }).toEqual({ names, answer: wanted });
        }
      } finally {
        await Promise.all([kept.end(), plain.end()]);
      }
    }),
    { numRuns: RUNS },
  );
});

test('a token in memory is refused the very millisecond it ends, before anybody took it away', async () => {
  const clock = new ManualClock();
  const server = await createServer({
    backend: new MemoryBackend(),
    plugins: [kv],
    clock,
    log: silentLog,
    dial: async () => ({ status: 599, body: new Uint8Array() }),
  });
  const { keys, rootToken } = await server.seal.initialize(1, 1);
  for (const key of keys) await server.seal.submit(key);
  const made = await server.call({
    verb: 'write',
    path: 'auth/token/create',
    token: rootToken,
    data: { policies: ['default'], ttl: '2s' },
  });
  const token = made.kind === 'envelope' ? (made.envelope.auth?.token ?? '') : '';
  const tokens = server.core.services()?.tokens;
  await tokens?.lookup(token);
  clock.advance(1999);
  expect(await tokens?.lookup(token)).toMatchObject({ policies: ['default'] });
  clock.advance(1);
  // Not awaited before: the end of the token, which was begun by the clock, has had no turn yet.
  const after = tokens?.lookup(token);
  expect(await after).toBeUndefined();
  await server.close();
});
