import { beforeEach, describe, expect, test } from 'vitest';
import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { randomKey } from '../../crypto/random.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { Barrier } from '../barrier/barrier.ts';
import { SealKeeper } from './keeper.ts';

let backend: MemoryBackend;
let barrier: Barrier;
let keeper: SealKeeper;

const start = () => {
  barrier = new Barrier(backend);
  keeper = new SealKeeper(backend, barrier);
};

beforeEach(() => {
  backend = new MemoryBackend();
  start();
});

const wrong = (share: Uint8Array) => share.map((byte, i) => (i === 0 ? byte ^ 1 : byte));

describe('before initialization', () => {
  test('the status says so, and no share is taken', async () => {
    expect(await keeper.status()).toEqual({
      type: 'shamir',
      initialized: false,
      sealed: true,
      t: 0,
      n: 0,
      progress: 0,
      nonce: '',
      recovery: false,
      migration: false,
    });
    await expect(keeper.submitShare(randomKey(33))).rejects.toMatchObject({ code: 'server.uninitialized' });
  });

  test.each([
    [0, 0, 'shares must be at least one'],
    [5, 1, 'threshold must be greater than one for multiple shares'],
    [2, 3, 'threshold cannot be larger than shares'],
    [256, 3, 'shares must be less than 256'],
  ])(
    '%d shares with a threshold of %d are refused, and nothing is stored',
    async (shares, threshold, reason) => {
      await expect(keeper.initialize({ shares, threshold })).rejects.toMatchObject({
        code: 'seal.config',
        message: `invalid seal configuration: ${reason}`,
      });
      expect(await backend.head()).toBe(0);
    },
  );
});

test.each([
  [1, 1, 32],
  [2, 2, 33],
  [5, 3, 33],
])(
  '%d shares with a threshold of %d: initialized and open, then sealed, then opened by the threshold again after a restart',
  async (shares, threshold, length) => {
    const made = await keeper.initialize({ shares, threshold });
    expect(made.map((share) => share.length)).toEqual(Array(shares).fill(length));
    await barrier.view('').commit([{ key: 'a', value: utf8('kept') }]);
    start();
    expect(await keeper.status()).toMatchObject({ initialized: true, sealed: true, t: threshold, n: shares });
    for (const [i, share] of made.slice(-threshold).entries()) {
      const last = i === threshold - 1;
      const status = await keeper.submitShare(share);
      expect(status).toMatchObject({ sealed: !last, progress: last ? 0 : i + 1 });
      expect(status.nonce === '').toBe(last);
    }
    const entry = await barrier.view('').get('a');
    expect(entry && textOf(entry.value)).toBe('kept');
    expect(await barrier.verify(new AbortController().signal)).toMatchObject({ damaged: [], set: 'matches' });
    await keeper.seal();
    expect(await keeper.status()).toMatchObject({ sealed: true, progress: 0 });
  },
);

describe('giving shares', () => {
  let shares: readonly Uint8Array[];
  const share = (i: number): Uint8Array => shares[i] ?? new Uint8Array(0);
  beforeEach(async () => {
    shares = await keeper.initialize({ shares: 5, threshold: 3 });
    await keeper.seal();
  });

  test('the same share counts once, and the nonce names one try', async () => {
    const first = await keeper.submitShare(share(0));
    const again = await keeper.submitShare(Uint8Array.from(share(0)));
    expect(again).toEqual(first);
    expect(first).toMatchObject({ progress: 1, sealed: true });
    await keeper.reset();
    expect((await keeper.submitShare(share(1))).nonce).not.toBe(first.nonce);
  });

  test('one wrong share fails the try, resets progress, and the right ones then open', async () => {
    await keeper.submitShare(share(0));
    await keeper.submitShare(wrong(share(1)));
    await expect(keeper.submitShare(share(2))).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    expect(await keeper.status()).toMatchObject({ sealed: true, progress: 0, nonce: '' });
    for (const i of [4, 0, 2]) await keeper.submitShare(share(i));
    expect((await keeper.status()).sealed).toBe(false);
  });

  test('two different shares with one x fail the try instead of the process', async () => {
    for (const s of [share(0), wrong(share(0))]) await keeper.submitShare(s);
    await expect(keeper.submitShare(share(1))).rejects.toMatchObject({ code: 'seal.wrong_shares' });
  });

  test('a share of another store does not open this one', async () => {
    const other = new MemoryBackend();
    const foreign = await new SealKeeper(other, new Barrier(other)).initialize({ shares: 5, threshold: 3 });
    await keeper.submitShare(foreign[0] ?? new Uint8Array(0));
    await keeper.submitShare(foreign[1] ?? new Uint8Array(0));
    await expect(keeper.submitShare(foreign[2] ?? new Uint8Array(0))).rejects.toMatchObject({
      code: 'seal.wrong_shares',
    });
  });

  test.each([0, 16, 32, 34])('a share of %d bytes is refused and costs no progress', async (length) => {
    await keeper.submitShare(share(0));
    await expect(keeper.submitShare(randomKey(length))).rejects.toMatchObject({ code: 'seal.share_length' });
    expect(await keeper.status()).toMatchObject({ progress: 1 });
  });

  test('shares given all at once are counted one after the other', async () => {
    const statuses = await Promise.all(shares.map((s) => keeper.submitShare(s)));
    expect(statuses.map((s) => s.sealed)).toEqual([true, true, false, false, false]);
    expect(statuses.map((s) => s.progress)).toEqual([1, 2, 0, 0, 0]);
  });

  test('a second initialization is refused, and the first shares still open', async () => {
    await expect(keeper.initialize({ shares: 1, threshold: 1 })).rejects.toMatchObject({
      code: 'barrier.initialized',
    });
    for (const i of [0, 1, 2]) await keeper.submitShare(share(i));
    expect(await keeper.status()).toMatchObject({ sealed: false, t: 3, n: 5 });
  });

  test('a changed seal configuration, root key or keyring is said to be damaged or does not open', async () => {
    for (const text of ['', '{', '{"t":0,"n":5}', '{"t":"3","n":5}', '[]', 'null']) {
      await backend.commit([{ key: 'core/seal-config', value: utf8(text) }]);
      await expect(keeper.status()).rejects.toMatchObject({ code: 'storage.corrupt' });
    }
    await backend.commit([{ key: 'core/seal-config', value: utf8('{"type":"shamir","t":3,"n":5}') }]);
    const keyring = await backend.get('core/keyring');
    await backend.commit([{ key: 'core/keyring', value: randomKey(100) }]);
    for (const i of [0, 1]) await keeper.submitShare(share(i));
    await expect(keeper.submitShare(share(2))).rejects.toMatchObject({ code: 'storage.corrupt' });
    if (keyring) await backend.commit([keyring]);
    await backend.commit([{ key: 'core/root-key-wrapped', value: randomKey(60) }]);
    for (const i of [0, 1]) await keeper.submitShare(share(i));
    await expect(keeper.submitShare(share(2))).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    expect(await barrier.state()).toBe('sealed');
  });

  test('no share shows in what is stored or in a failure', async () => {
    const stored: string[] = [];
    for await (const { value } of backend.scan('', new AbortController().signal)) stored.push(hex(value));
    expect(stored.length).toBe(4);
    const given = shares.map((s) => hex(s.subarray(0, 16)));
    expect(stored.some((text) => given.some((part) => text.includes(part)))).toBe(false);
  });
});
