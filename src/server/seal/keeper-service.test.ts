/** The keeper over a seal that needs nobody: what its service may get wrong, and what somebody who writes to the store may try. */

import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { openBytes, sealBytes } from '../../crypto/aead.ts';
import { randomKey } from '../../crypto/random.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { Barrier } from '../barrier/barrier.ts';
import { courseOf } from './course.ts';
import { SealKeeper } from './keeper.ts';
import { decodeRecord, encodeRecord, recoveryProof } from './record.ts';
import type { AutoSeal, Seals } from './seal.ts';

/** A service with a key that can be rotated, and be away. */
class Service implements AutoSeal {
  readonly type: string;
  readonly keys = [randomKey(32)];
  away = false;
  asked = 0;

  constructor(type = 'vault') {
    this.type = type;
  }

  async wrap(plain: Uint8Array): Promise<Uint8Array> {
    this.#ask();
    return sealBytes(this.#key(this.keys.length), plain, utf8(''), Uint8Array.of(this.keys.length));
  }

  async unwrap(blob: Uint8Array): Promise<Uint8Array | undefined> {
    this.#ask();
    return openBytes(this.#key(blob[0] ?? 0), blob.subarray(1), utf8(''));
  }

  generation = (blob: Uint8Array): string => String(blob[0]);
  close = (): void => {};

  #ask(): void {
    this.asked++;
    if (this.away) throw failure('seal.unreachable', { seal: this.type, reason: 'away' });
  }

  #key(generation: number): Uint8Array {
    return this.keys[generation - 1] ?? randomKey(32);
  }
}

let backend: MemoryBackend;
let barrier: Barrier;
let service: Service;
let keeper: SealKeeper;
const restart = (seals: Seals = { active: service }): void => {
  barrier = new Barrier(backend);
  keeper = new SealKeeper(backend, barrier, seals);
};
beforeEach(() => {
  backend = new MemoryBackend();
  service = new Service();
  restart();
});

/** The service, which answers something else where it is to unwrap. */
const answering = (unwrap: AutoSeal['unwrap']): AutoSeal => ({
  type: service.type,
  wrap: (key) => service.wrap(key),
  unwrap,
  generation: service.generation,
  close: service.close,
});
const THREE = { shares: 3, threshold: 2 };
const stored = async (key: string): Promise<Uint8Array> =>
  (await backend.get(key))?.value ?? new Uint8Array();
const put = (key: string, value: Uint8Array) => backend.commit([{ key, value }]);
const give = async (shares: readonly Uint8Array[], migrate = false) => {
  let status = await keeper.status();
  for (const share of shares) status = await keeper.submitShare(share, migrate);
  return status;
};

describe('opening', () => {
  test('needs nobody, and neither the shares nor the root key lie in the store', async () => {
    const shares = await keeper.initialize(THREE);
    restart();
    expect(await keeper.openByService()).toBe('open');
    expect(await keeper.openByService()).toBe('open');
    expect(barrier.sealed).toBe(false);
    const text = textOf(await stored('core/seal-config')) ?? '';
    for (const share of shares) expect(text).not.toContain(Buffer.from(share).toString('base64'));
  });

  test('an empty store is left to whoever initializes it', async () => {
    expect(await keeper.openByService()).toBe('uninitialized');
    expect(service.asked).toBe(0);
  });

  test.each([
    ['nothing', async () => undefined, 'seal.lost_key'],
    ['a key of another length', async () => randomKey(16), 'seal.lost_key'],
    ['another root key', async () => randomKey(32), 'storage.corrupt'],
  ])(
    'a service that gives %s is told apart, and the store stays sealed and whole',
    async (_what, unwrap, code) => {
      await keeper.initialize(THREE);
      const before = await backend.head();
      restart({ active: answering(unwrap) });
      await expect(keeper.openByService()).rejects.toMatchObject({ code });
      expect(barrier.sealed).toBe(true);
      expect(await backend.head()).toBe(before);
    },
  );

  test('enough recovery keys have the service asked again; they open nothing without it', async () => {
    const shares = await keeper.initialize(THREE);
    restart();
    service.away = true;
    await keeper.submitShare(shares[0] as Uint8Array);
    await expect(keeper.submitShare(shares[1] as Uint8Array)).rejects.toMatchObject({
      code: 'seal.unreachable',
    });
    expect((await keeper.status()).progress).toBe(0);
    service.away = false;
    expect((await give(shares.slice(1))).sealed).toBe(false);
  });
});

describe('initialization', () => {
  test('a service that does not give back what it wraps writes nothing', async () => {
    restart({ active: answering(async () => randomKey(32)) });
    await expect(keeper.initialize(THREE)).rejects.toMatchObject({ code: 'seal.one_way' });
    expect(await backend.head()).toBe(0);
  });

  test('with no recovery keys: none are given, none prove anything, and the service still opens', async () => {
    expect(await keeper.initialize({ shares: 0, threshold: 0 })).toEqual([]);
    await expect(keeper.prove([randomKey(32)])).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    restart();
    await expect(keeper.submitShare(randomKey(32))).rejects.toMatchObject({ code: 'seal.no_recovery' });
    expect(await keeper.openByService()).toBe('open');
    restart({ retired: service });
    await expect(keeper.submitShare(randomKey(32), true)).rejects.toMatchObject({ code: 'seal.no_recovery' });
  });
});

describe('somebody who can write to the store, and not ask the service', () => {
  test('cannot put recovery keys of their own in place', async () => {
    const shares = await keeper.initialize(THREE);
    const own = randomKey(32);
    const proof = recoveryProof(randomKey(32), own);
    await put('core/seal-config', encodeRecord({ type: 'vault', t: 1, n: 1, proof }));
    await expect(keeper.prove([own])).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    restart();
    await expect(keeper.submitShare(own)).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    expect(shares).toHaveLength(3);
  });

  test('cannot have the store taken for one of shares', async () => {
    await keeper.initialize(THREE);
    const own = randomKey(32);
    restart();
    await put('core/seal-config', utf8('{"type":"shamir","t":1,"n":1}'));
    expect((await keeper.status()).migration).toBe(true);
    await expect(keeper.submitShare(own, true)).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    expect(await keeper.openByService()).toBe('people');
  });
});

describe('a key that was rotated', () => {
  test('is used for the root key from then on, once, and the root key stays', async () => {
    await keeper.initialize(THREE);
    expect(await keeper.rewrap()).toBe(false);
    service.keys.push(randomKey(32));
    expect(await keeper.rewrap()).toBe(true);
    expect(await keeper.rewrap()).toBe(false);
    service.keys[0] = randomKey(32);
    restart();
    expect(await keeper.openByService()).toBe('open');
  });

  test('a newest version that does not unwrap yet changes nothing', async () => {
    await keeper.initialize(THREE);
    const before = await stored('core/root-key-wrapped');
    service.keys.push(randomKey(32));
    const unwrap = async (blob: Uint8Array) => (blob[0] === 2 ? undefined : service.unwrap(blob));
    restart({ active: answering(unwrap) });
    await keeper.openByService();
    await expect(keeper.rewrap()).rejects.toMatchObject({ code: 'seal.one_way' });
    expect(await stored('core/root-key-wrapped')).toEqual(before);
  });
});

describe('moving', () => {
  test('from one service to another keeps the recovery keys', async () => {
    const shares = await keeper.initialize(THREE);
    const other = new Service('other');
    restart({ active: other, retired: service });
    await expect(keeper.submitShare(shares[0] as Uint8Array)).rejects.toMatchObject({
      code: 'seal.migration_pending',
    });
    expect((await give(shares.slice(0, 2), true)).sealed).toBe(false);
    await keeper.prove(shares.slice(1));
    service.away = true;
    restart({ active: other, retired: service });
    expect(await keeper.openByService()).toBe('open');
  });

  test('a store that does not take the commit is under its old seal, and sealed', async () => {
    restart({});
    const shares = await keeper.initialize(THREE);
    restart({ active: service });
    const commit = backend.commit.bind(backend);
    backend.commit = async () => {
      throw failure('storage.unusable', { folder: 'x', reason: 'full' });
    };
    await expect(give(shares.slice(0, 2), true)).rejects.toMatchObject({ code: 'storage.unusable' });
    expect(barrier.sealed).toBe(true);
    backend.commit = commit;
    expect((await give(shares.slice(1), true)).sealed).toBe(false);
    restart({});
    await expect(keeper.check()).rejects.toMatchObject({ code: 'seal.stranded' });
    await expect(keeper.submitShare(shares[0] as Uint8Array)).rejects.toMatchObject({
      code: 'seal.stranded',
    });
    await expect(keeper.openByService()).rejects.toMatchObject({ code: 'seal.stranded' });
  });
});

describe('what the seals of store and file mean together', () => {
  const [a, b] = [new Service('a'), new Service('b')];
  test.each<[string, string, Seals, object]>([
    ['shares, and nothing else', 'shamir', {}, { kind: 'settled', seal: undefined }],
    ['shares, and a leftover stanza', 'shamir', { retired: a }, { kind: 'settled', seal: undefined }],
    ['shares, and a new service', 'shamir', { active: a }, { kind: 'migrating', from: undefined, to: a }],
    ['a service', 'a', { active: a }, { kind: 'settled', seal: a }],
    ['a service, after the move', 'a', { active: a, retired: b }, { kind: 'settled', seal: a }],
    ['a service, disabled', 'a', { retired: a }, { kind: 'migrating', from: a, to: undefined }],
    ['a service, and the next one', 'a', { active: b, retired: a }, { kind: 'migrating', from: a, to: b }],
    ['a service, left out', 'a', {}, { kind: 'stranded', from: 'a', to: 'Shamir' }],
    ['a service, replaced', 'a', { active: b }, { kind: 'stranded', from: 'a', to: '"b"' }],
  ])('%s', (_name, type, seals, course) => {
    expect(courseOf(type, seals)).toEqual(course);
  });
});

test('no text in place of the record is taken for one with shares that cannot be', () => {
  const value = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(null), fc.boolean());
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ type: fc.oneof(fc.constant('shamir'), fc.string()), t: value, n: value, recovery: value })
      .map((given) => JSON.stringify(given)),
  );
  fc.assert(
    fc.property(text, (given) => {
      const record = decodeRecord(given);
      if (record === undefined) return;
      expect(Number.isInteger(record.t) && Number.isInteger(record.n)).toBe(true);
      expect(record.t).toBeLessThanOrEqual(record.n);
      expect(record.n).toBeLessThan(256);
      if (record.type !== 'shamir' && record.n > 0) expect(record.proof).toBeDefined();
    }),
  );
});
