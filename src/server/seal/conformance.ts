/** What every seal that needs nobody has to pass, run by each of them against its service, or a double of it. For tests alone. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { randomKey } from '../../crypto/random.ts';
import type { AutoSeal } from './seal.ts';

/** What may go wrong, and what the seal has to make of it: the code of its failure. */
export interface SealRig {
  /** A seal as a server makes it when it starts. */
  seal(): AutoSeal;
  /** Makes a newer key, which is used from then on; the older ones still unwrap. */
  rotate(): Promise<void> | void;
  /** The key cannot be used for now. */
  disable(): Promise<void> | void;
  /** The key is gone for good. */
  remove(): Promise<void> | void;
  /** The service does not answer, until it is told that it does. */
  away(is: boolean): Promise<void> | void;
  /** It answers something that is none of its answers. */
  garbage(): Promise<void> | void;
  /** Whom the seal asks as may not use the key. */
  deny(): Promise<void> | void;
  /** It answers in the name of another key. */
  forge(): Promise<void> | void;
  close?(): Promise<void> | void;
}

type Case = Exclude<keyof SealRig, 'seal' | 'close'>;

/**
 * @param unable cases that this kind cannot have, each with its reason
 * @param secrets texts that no failure may hold: keys, tokens, addresses
 */
export function sealConformance(
  kind: string,
  make: () => Promise<SealRig> | SealRig,
  {
    unable = {},
    secrets = () => [],
  }: { readonly unable?: Partial<Record<Case, string>>; readonly secrets?: () => readonly string[] } = {},
): void {
  describe(`a seal "${kind}"`, () => {
    let rig: SealRig;
    let rootKey: Uint8Array;
    let wrapped: Uint8Array;
    beforeEach(async () => {
      rig = await make();
      rootKey = randomKey(32);
      const seal = rig.seal();
      await seal.prepare?.();
      wrapped = await seal.wrap(rootKey);
      seal.close();
    });
    afterEach(() => rig.close?.());

    /** What a failure says to whoever may hear it, and the codes of seals alone. */
    const failed = async (work: Promise<unknown>): Promise<string> => {
      const error: unknown = await work.then(
        () => expect.fail('it was done'),
        (thrown: unknown) => thrown,
      );
      expect(isFailure(error), String(error)).toBe(true);
      if (!isFailure(error)) return '';
      const way = error.cause instanceof Error ? error.cause.message : '';
      for (const secret of [...secrets(), Buffer.from(rootKey).toString('base64')])
        expect(error.message, 'told to people without a token').not.toContain(secret);
      expect(way).not.toContain(Buffer.from(rootKey).toString('base64'));
      return error.code;
    };
    const has = (wanted: Case, name: string, run: () => Promise<void>): void => {
      const reason = unable[wanted];
      test.skipIf(reason !== undefined)(reason === undefined ? name : `${name} (cannot be: ${reason})`, run);
    };

    test('gives back after a restart what it wrapped, and the store holds no key in the clear', async () => {
      expect(Buffer.from((await rig.seal().unwrap(wrapped)) ?? [])).toEqual(Buffer.from(rootKey));
      expect(rig.seal().type).toBe(kind);
      expect(Buffer.from(wrapped).includes(Buffer.from(rootKey))).toBe(false);
      expect(Buffer.from(wrapped).toString()).not.toContain(Buffer.from(rootKey).toString('base64'));
      expect(rig.seal().generation(wrapped)).not.toBe('');
    });

    test('tells the same key as the same, so that nothing is wrapped anew without need', async () => {
      const seal = rig.seal();
      expect(seal.generation(await seal.wrap(rootKey))).toBe(seal.generation(wrapped));
    });

    has('rotate', 'unwraps what the older key wrapped, and tells that there is a newer one', async () => {
      await rig.rotate();
      const seal = rig.seal();
      expect(Buffer.from((await seal.unwrap(wrapped)) ?? [])).toEqual(Buffer.from(rootKey));
      const fresh = await seal.wrap(rootKey);
      expect(seal.generation(fresh)).not.toBe(seal.generation(wrapped));
      expect(Buffer.from((await rig.seal().unwrap(fresh)) ?? [])).toEqual(Buffer.from(rootKey));
    });

    has('disable', 'says of a key that is disabled that it does not open the store', async () => {
      await rig.disable();
      expect(await failed(rig.seal().unwrap(wrapped))).toBe('seal.lost_key');
      expect(await failed(rig.seal().wrap(rootKey))).toBe('seal.refused');
    });

    has(
      'remove',
      'says of a key that is gone that it does not open the store, and makes none in its place',
      async () => {
        await rig.remove();
        expect(await failed(rig.seal().unwrap(wrapped))).toBe('seal.lost_key');
        expect(await failed(rig.seal().wrap(rootKey))).toBe('seal.refused');
        expect(await failed(rig.seal().unwrap(wrapped))).toBe('seal.lost_key');
      },
    );

    has('away', 'says of a service that is away that it is, and opens once it is back', async () => {
      const seal = rig.seal();
      await rig.away(true);
      expect(await failed(seal.unwrap(wrapped))).toBe('seal.unreachable');
      expect(await failed(seal.wrap(rootKey))).toBe('seal.unreachable');
      await rig.away(false);
      expect(Buffer.from((await seal.unwrap(wrapped)) ?? [])).toEqual(Buffer.from(rootKey));
    });

    has('garbage', 'takes nothing else for an answer', async () => {
      await rig.garbage();
      for (const work of [() => rig.seal().unwrap(wrapped), () => rig.seal().wrap(rootKey)])
        expect(await failed(work())).toMatch(/^seal\.(refused|unreachable|lost_key)$/);
    });

    has('deny', 'says of an account that may not use the key that it is refused', async () => {
      await rig.deny();
      for (const work of [() => rig.seal().unwrap(wrapped), () => rig.seal().wrap(rootKey)])
        expect(await failed(work())).toBe('seal.refused');
    });

    has('forge', 'takes no answer in the name of another key', async () => {
      await rig.forge();
      expect(await failed(rig.seal().wrap(rootKey))).toMatch(/^seal\.(refused|lost_key)$/);
    });

    test('opens nothing with a blob that was cut, changed, or is of another seal', async () => {
      const text = Buffer.from(wrapped).toString('utf8');
      const one = (at: number): Uint8Array => wrapped.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const spoilt = [
        new Uint8Array(0),
        wrapped.subarray(0, 10),
        wrapped.subarray(0, wrapped.length - 1),
        wrapped.subarray(0, wrapped.length >> 1),
        one(wrapped.length - 8),
        Buffer.from(text.replace(`"type":"${kind}"`, '"type":"other"')),
        Buffer.from(text.replace('"holdfast_seal":1', '"holdfast_seal":2')),
        Buffer.from(text.replace('"version":"', '"version":"9')),
        Buffer.from(text.replace('"key":"', '"key":"x')),
        Buffer.from('{"__proto__":1}'),
        randomKey(200),
      ];
      for (const blob of spoilt) {
        const opened = await rig
          .seal()
          .unwrap(blob)
          .catch((error: unknown) => {
            expect(isFailure(error), String(error)).toBe(true);
            return undefined;
          });
        // Where the service knows its key by the bytes alone, what is said of it beside them changes nothing.
        if (opened !== undefined) expect(Buffer.from(opened)).toEqual(Buffer.from(rootKey));
      }
      for (const blob of spoilt.slice(0, 4))
        await expect(rig.seal().unwrap(blob)).rejects.toMatchObject({ code: 'seal.lost_key' });
    });

    test('asks nothing any more once it is closed', async () => {
      const seal = rig.seal();
      seal.close();
      await expect(seal.unwrap(wrapped)).rejects.toThrow();
    });
  });
}
