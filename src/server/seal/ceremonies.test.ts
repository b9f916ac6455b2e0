import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Check, Write } from '../../storage/storage.ts';
import { Barrier } from '../barrier/barrier.ts';
import { Ceremonies, encodedUnder, OTP_LENGTH } from './ceremonies.ts';
import { SealKeeper } from './keeper.ts';

class Failing extends MemoryBackend {
  fails = false;
  override async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    if (this.fails) throw failure('storage.write');
    return super.commit(writes, checks);
  }
}

interface World {
  readonly backend: Failing;
  readonly barrier: Barrier;
  readonly keeper: SealKeeper;
  readonly ceremonies: Ceremonies;
  readonly keys: readonly Uint8Array[];
}

async function world(shares: number, threshold: number): Promise<World> {
  const backend = new Failing();
  const barrier = new Barrier(backend);
  const keeper = new SealKeeper(backend, barrier);
  const keys = await keeper.initialize({ shares, threshold });
  return { backend, barrier, keeper, ceremonies: new Ceremonies(keeper, new ManualClock()), keys };
}

/** A fresh process over the same store: only what is stored counts. */
async function opensWith({ backend }: World, shares: readonly Uint8Array[]): Promise<boolean> {
  const barrier = new Barrier(backend);
  const keeper = new SealKeeper(backend, barrier);
  try {
    for (const share of shares) await keeper.submitShare(share);
  } catch {
    return false;
  }
  return !barrier.sealed;
}

const shapes = Array.from({ length: 5 }, (_, i) => i + 1).flatMap((n) =>
  Array.from({ length: n }, (_, i) => ({ n, t: i + 1 })).filter(({ t }) => (n === 1 ? t === 1 : t > 1)),
);

describe('replacing the key shares', () => {
  test.each(shapes)(
    'from 3/2 to any $t of $n: the new ones open the store, and the old no longer do',
    async ({ n, t }) => {
      const w = await world(3, 2);
      await w.barrier.view('').commit([{ key: 'a', value: utf8('kept') }]);
      const { nonce } = await w.ceremonies.beginRekey({ shares: n, threshold: t, verify: false });
      await w.ceremonies.updateRekey(w.keys[0] ?? new Uint8Array(), nonce);
      const done = await w.ceremonies.updateRekey(w.keys[2] ?? new Uint8Array(), nonce);
      expect(done.complete).toBe(true);
      expect(done.keys).toHaveLength(n);
      expect(await opensWith(w, w.keys)).toBe(false);
      for (let from = 0; from + t <= n; from++)
        expect(await opensWith(w, done.keys.slice(from, from + t))).toBe(true);
      if (t > 1) expect(await opensWith(w, done.keys.slice(0, t - 1))).toBe(false);
      expect(await w.barrier.verify(new AbortController().signal)).toMatchObject({
        damaged: [],
        set: 'matches',
      });
      expect((await w.ceremonies.rekeyStatus()).started).toBe(false);
    },
  );

  test('with verification the old shares stay valid until enough of the new ones were given back', async () => {
    const w = await world(1, 1);
    const [old = new Uint8Array()] = w.keys;
    const { nonce } = await w.ceremonies.beginRekey({ shares: 3, threshold: 2, verify: true });
    const drawn = await w.ceremonies.updateRekey(old, nonce);
    expect(drawn).toMatchObject({ complete: true, verify: true });
    expect(await opensWith(w, [old])).toBe(true);
    const [a = old, b = old, c = old] = drawn.keys;
    await w.ceremonies.updateVerify(a, drawn.verifyNonce);
    const wrong = Uint8Array.from(b, (byte, at) => (at === 0 ? byte ^ 1 : byte));
    await expect(w.ceremonies.updateVerify(wrong, drawn.verifyNonce)).rejects.toMatchObject({
      code: 'seal.wrong_shares',
    });
    expect(await opensWith(w, [old])).toBe(true);
    await w.ceremonies.updateVerify(c, drawn.verifyNonce);
    expect(await w.ceremonies.updateVerify(a, drawn.verifyNonce)).toMatchObject({ complete: true });
    expect(await opensWith(w, [old])).toBe(false);
    expect(await opensWith(w, [b, c])).toBe(true);
  });

  test('shares of another store give nothing, and the try goes on from nothing', async () => {
    const w = await world(3, 2);
    const other = await world(3, 2);
    const { nonce } = await w.ceremonies.beginRekey({ shares: 1, threshold: 1, verify: false });
    await w.ceremonies.updateRekey(other.keys[0] ?? new Uint8Array(), nonce);
    await expect(w.ceremonies.updateRekey(other.keys[1] ?? new Uint8Array(), nonce)).rejects.toMatchObject({
      code: 'seal.wrong_shares',
    });
    expect(await w.ceremonies.rekeyStatus()).toMatchObject({ started: true, progress: 0 });
    expect(await opensWith(w, w.keys.slice(0, 2))).toBe(true);
  });

  test('a medium that fails leaves the old shares valid', async () => {
    const w = await world(1, 1);
    const { nonce } = await w.ceremonies.beginRekey({ shares: 1, threshold: 1, verify: false });
    w.backend.fails = true;
    await expect(w.ceremonies.updateRekey(w.keys[0] ?? new Uint8Array(), nonce)).rejects.toMatchObject({
      code: 'storage.write',
    });
    w.backend.fails = false;
    expect(await opensWith(w, w.keys)).toBe(true);
  });

  test('at the same time as rotations, no key is lost', async () => {
    const w = await world(1, 1);
    const { nonce } = await w.ceremonies.beginRekey({ shares: 1, threshold: 1, verify: false });
    const [, done] = await Promise.all([
      w.barrier.rotate(),
      w.ceremonies.updateRekey(w.keys[0] ?? new Uint8Array(), nonce),
      w.barrier.rotate(),
    ]);
    await w.barrier.view('').commit([{ key: 'a', value: utf8('1') }]);
    const fresh = new Barrier(w.backend);
    for (const key of done.keys) await new SealKeeper(w.backend, fresh).submitShare(key);
    expect((await fresh.view('').get('a'))?.value).toEqual(Buffer.from('1'));
    expect(fresh.usage.term).toBe(3);
  });

  test.each([
    [0, 0],
    [1, 2],
    [3, 1],
    [256, 2],
  ])(
    '%d shares of which %d are needed are refused before anybody gives a share',
    async (shares, threshold) => {
      const w = await world(1, 1);
      await expect(w.ceremonies.beginRekey({ shares, threshold, verify: false })).rejects.toMatchObject({
        code: 'seal.config',
      });
      expect((await w.ceremonies.rekeyStatus()).started).toBe(false);
    },
  );
});

describe('making a root token', () => {
  let w: World;
  beforeEach(async () => {
    w = await world(3, 2);
  });
  const share = (at: number) => w.keys[at] ?? new Uint8Array();
  const make = async () => 'hvs.abcdefghijklmnopqrstuvwx';

  test('needs enough shares, and gives the token only under the pad', async () => {
    const { nonce, otp } = await w.ceremonies.beginRoot(undefined);
    expect(otp).toHaveLength(OTP_LENGTH);
    let made = 0;
    const counted = async () => {
      made++;
      return make();
    };
    expect(await w.ceremonies.updateRoot(share(0), nonce, counted)).toMatchObject({
      complete: false,
      progress: 1,
    });
    expect(await w.ceremonies.updateRoot(share(0), nonce, counted)).toMatchObject({
      complete: false,
      progress: 1,
    });
    expect(made).toBe(0);
    const done = await w.ceremonies.updateRoot(share(1), nonce, counted);
    expect(done.encoded).not.toContain('=');
    expect(
      Buffer.from(done.encoded, 'base64')
        .map((b, i) => b ^ (Buffer.from(otp)[i] ?? 0))
        .toString(),
    ).toBe(await make());
    expect(made).toBe(1);
    await expect(w.ceremonies.updateRoot(share(0), nonce, counted)).rejects.toMatchObject({
      code: 'ceremony.none',
    });
  });

  test('makes none for shares that do not open this store', async () => {
    const other = await world(3, 2);
    const { nonce } = await w.ceremonies.beginRoot(undefined);
    const never = async (): Promise<string> => {
      throw new Error('a token was made');
    };
    await w.ceremonies.updateRoot(other.keys[0] ?? share(0), nonce, never);
    await expect(w.ceremonies.updateRoot(other.keys[1] ?? share(0), nonce, never)).rejects.toMatchObject({
      code: 'seal.wrong_shares',
    });
    expect(await w.ceremonies.rootStatus()).toMatchObject({ started: true, progress: 0 });
  });

  test('counts no share that was given for another try, and none of another length', async () => {
    const first = await w.ceremonies.beginRoot(undefined);
    await w.ceremonies.cancelRoot();
    await w.ceremonies.beginRoot('x'.repeat(OTP_LENGTH));
    await expect(w.ceremonies.updateRoot(share(0), first.nonce, make)).rejects.toMatchObject({
      code: 'ceremony.nonce',
    });
    await expect(w.ceremonies.beginRoot(undefined)).rejects.toMatchObject({ code: 'ceremony.running' });
    const { nonce } = await w.ceremonies.rootStatus();
    await expect(w.ceremonies.updateRoot(new Uint8Array(5), nonce, make)).rejects.toMatchObject({
      code: 'seal.share_length',
    });
    w.ceremonies.drop();
    expect(await w.ceremonies.rootStatus()).toMatchObject({ started: false, progress: 0, nonce: '' });
  });

  test.each([0, 1, 27, 29])('a pad of %d letters is refused', async (length) => {
    await expect(w.ceremonies.beginRoot('x'.repeat(length))).rejects.toMatchObject({ code: 'ceremony.otp' });
  });
});

test('what is under a pad comes back with it, whatever the token', () => {
  const text = fc.stringMatching(/^[\x21-\x7e]{28}$/);
  fc.assert(
    fc.property(text, text, (token, otp) => {
      const bytes = Buffer.from(encodedUnder(token, otp), 'base64');
      expect(bytes.map((byte, at) => byte ^ (Buffer.from(otp)[at] ?? 0)).toString()).toBe(token);
    }),
  );
});
