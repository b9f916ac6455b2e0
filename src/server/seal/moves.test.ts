/** Stores that are moved from every kind of seal to every other, and what a crash between leaves. */

import { describe, expect, test } from 'vitest';
import { awsRig, azureRig, fileRig, googleRig, kubernetesRig } from '../../../test/support/kms/rigs.ts';
import { base64, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { randomKey } from '../../crypto/random.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { Barrier } from '../barrier/barrier.ts';
import type { SealRig } from './conformance.ts';
import { SealKeeper } from './keeper.ts';
import type { Seals } from './seal.ts';

/** Every kind; undefined: key shares. */
const KINDS: Readonly<Record<string, () => Promise<SealRig | undefined> | SealRig | undefined>> = {
  shamir: () => undefined,
  awskms: () => awsRig(),
  gcpckms: googleRig,
  azurekeyvault: azureRig,
  kubernetes: kubernetesRig,
  file: () => fileRig(base64(randomKey(32))),
};
const pairs = Object.keys(KINDS).flatMap((from) =>
  Object.keys(KINDS)
    .filter((to) => to !== from)
    .map((to) => ({ from, to })),
);

class World {
  readonly backend = new MemoryBackend();
  barrier = new Barrier(this.backend);
  keeper = new SealKeeper(this.backend, this.barrier);

  /** A fresh process over the same store. */
  start(seals: Seals): void {
    this.barrier = new Barrier(this.backend);
    this.keeper = new SealKeeper(this.backend, this.barrier, seals);
  }

  async give(shares: readonly Uint8Array[], migrate: boolean) {
    let status = await this.keeper.status();
    for (const share of shares) status = await this.keeper.submitShare(share, migrate);
    return status;
  }

  async kept(): Promise<string | undefined> {
    const entry = await this.barrier.view('').get('a');
    return entry && Buffer.from(entry.value).toString();
  }
}

const only = (rig: SealRig | undefined): Seals => (rig === undefined ? {} : { active: rig.seal() });
const moving = (from: SealRig | undefined, to: SealRig | undefined): Seals => ({
  ...(to === undefined ? {} : { active: to.seal() }),
  ...(from === undefined ? {} : { retired: from.seal() }),
});

/** A store under a seal, with something in it. */
async function storeUnder(
  rig: SealRig | undefined,
): Promise<{ world: World; shares: readonly Uint8Array[] }> {
  const world = new World();
  world.start(only(rig));
  const shares = await world.keeper.initialize({ shares: 3, threshold: 2 });
  await world.barrier.view('').commit([{ key: 'a', value: utf8('kept') }]);
  return { world, shares };
}

describe.each(pairs)('from $from to $to', ({ from, to }) => {
  const rigs = async () => ({ old: await KINDS[from]?.(), next: await KINDS[to]?.() });

  test('enough holders move it; it opens with the new seal alone, and never again with the old', async () => {
    const { old, next } = await rigs();
    const { world, shares } = await storeUnder(old);
    world.start(moving(old, next));
    expect(await world.keeper.status()).toMatchObject({ type: to, migration: true, sealed: true });
    expect(await world.keeper.openByService()).toBe('people');
    expect((await world.give(shares.slice(0, 2), true)).sealed).toBe(false);
    expect(await world.kept()).toBe('kept');
    if (from !== 'shamir') await old?.remove();
    await old?.away(true);
    world.start(only(next));
    if (next === undefined) await world.give(shares.slice(1), false);
    else expect(await world.keeper.openByService()).toBe('open');
    expect(await world.kept()).toBe('kept');
    expect(await world.barrier.verify(new AbortController().signal)).toMatchObject({
      damaged: [],
      set: 'matches',
    });
    // The shares changed their meaning, and still prove what they are.
    await world.keeper.prove(shares.slice(1));
    world.start(only(old));
    if (old !== undefined && next !== undefined)
      await expect(world.keeper.check()).rejects.toMatchObject({ code: 'seal.stranded' });
    await Promise.all([old?.close?.(), next?.close?.()]);
  });

  test('a new seal that is away, or a commit that fails, leaves it under the old one', async () => {
    const { old, next } = await rigs();
    const { world, shares } = await storeUnder(old);
    const opensAsBefore = async (): Promise<void> => {
      world.start(only(old));
      if (old === undefined) await world.give(shares.slice(0, 2), false);
      else expect(await world.keeper.openByService()).toBe('open');
      expect(await world.kept()).toBe('kept');
    };
    if (next !== undefined) {
      await next.away(true);
      world.start(moving(old, next));
      await expect(world.give(shares.slice(0, 2), true)).rejects.toMatchObject({ code: 'seal.unreachable' });
      expect(world.barrier.sealed).toBe(true);
      await next.away(false);
      await opensAsBefore();
    }
    world.start(moving(old, next));
    const commit = world.backend.commit.bind(world.backend);
    world.backend.commit = async () => {
      throw failure('storage.unusable', { folder: 'x', reason: 'full' });
    };
    await expect(world.give(shares.slice(0, 2), true)).rejects.toMatchObject({ code: 'storage.unusable' });
    expect(world.barrier.sealed).toBe(true);
    world.backend.commit = commit;
    await opensAsBefore();
    await Promise.all([old?.close?.(), next?.close?.()]);
  });
});

describe.each(Object.keys(KINDS).filter((kind) => kind !== 'shamir'))('under %s', (kind) => {
  test('recovery keys are replaced and still open nothing themselves', async () => {
    const rig = (await KINDS[kind]?.()) as SealRig;
    const { world, shares } = await storeUnder(rig);
    const drawn = await world.keeper.draw(2, 2);
    await world.keeper.adopt(drawn);
    await expect(world.keeper.prove(shares.slice(0, 2))).rejects.toMatchObject({ code: 'seal.wrong_shares' });
    // Copies: what proves is wiped.
    await world.keeper.prove(drawn.shares.map((share) => Uint8Array.from(share)));
    world.start(only(rig));
    await rig.away(true);
    await expect(world.give(drawn.shares, false)).rejects.toMatchObject({ code: 'seal.unreachable' });
    await rig.away(false);
    expect((await world.give(drawn.shares, false)).sealed).toBe(false);
    await rig.close?.();
  });
});
