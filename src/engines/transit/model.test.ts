/** What must hold for every key, whatever is asked of it and in which order. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { algorithmOf, KEY_TYPES } from '../../crypto/algorithms.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { transit } from './index.ts';

const b64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const bytes = fc.uint8Array({ maxLength: 60 });
const some = fc.uint8Array({ minLength: 1, maxLength: 20 });
const AEADS = KEY_TYPES.filter((type) => algorithmOf(type).kind === 'aead');

const fresh = (): TestMount => mountForTest(transit, { path: 'transit/' });
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (isFailure(error) ? error.code : String(error)),
  );

test('convergent encryption: the same in gives the same out, and any difference in text, context or version another', async () => {
  const mount = fresh();
  for (const type of AEADS)
    await mount.call('write', `keys/${type}`, { type, derived: true, convergent_encryption: true });
  for (const type of AEADS) await mount.call('write', `keys/${type}/rotate`);
  // Few values, so that any two draws often agree in all but one thing.
  const few = fc.oneof(fc.uint8Array({ maxLength: 2, max: 1 }), bytes);
  const context = fc.constantFrom(...['a', 'b'].map((text) => Uint8Array.from(Buffer.from(text))));
  const one = fc.record({ plain: few, context, version: fc.constantFrom(1, 2), bound: few });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...AEADS), one, one, async (type, a, b) => {
      const seal = async ({ plain, context, version, bound }: typeof a): Promise<string> => {
        const given = { plaintext: b64(plain), context: b64(context), associated_data: b64(bound) };
        return (await mount.call('write', `encrypt/${type}`, { ...given, key_version: version })).data
          .ciphertext;
      };
      const [first, again, other] = [await seal(a), await seal(a), await seal(b)];
      expect(again).toBe(first);
      const same = JSON.stringify(a) === JSON.stringify(b);
      expect(other === first).toBe(same);
      // Equal nonces under one key would undo both ciphertexts: only equal messages may share one.
      const nonce = (text: string) => text.slice(0, 'vault:vN:'.length + 16);
      const sameKey = a.version === b.version && b64(a.context) === b64(b.context);
      if (sameKey && !same) expect(nonce(other)).not.toBe(nonce(first));
    }),
    { numRuns: 400 },
  );
});

test('without convergence, the same in never gives the same out', async () => {
  const mount = fresh();
  await mount.call('write', 'keys/app', {});
  const seen = new Set<string>();
  for (let count = 0; count < 500; count++)
    seen.add((await mount.call('write', 'encrypt/app', { plaintext: b64('x') })).data.ciphertext);
  expect(seen.size).toBe(500);
});

test('whatever a key of any type encrypts comes back, and no changed byte does', async () => {
  const mount = fresh();
  const types = [...AEADS, 'rsa-2048'] as const;
  for (const type of types) {
    await mount.call('write', `keys/${type}`, { type });
    if (type !== 'rsa-2048') await mount.call('write', `keys/${type}-derived`, { type, derived: true });
  }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...types),
      fc.boolean(),
      bytes,
      some,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (type, derived, plain, context, where, flip) => {
        const isDerived = derived && type !== 'rsa-2048';
        const name = isDerived ? `${type}-derived` : type;
        const about = {
          ...(isDerived ? { context: b64(context) } : {}),
          ...(type === 'rsa-2048' ? {} : { associated_data: b64(context) }),
        };
        const { ciphertext } = (
          await mount.call('write', `encrypt/${name}`, { plaintext: b64(plain), ...about })
        ).data;
        const opened = await mount.call('write', `decrypt/${name}`, { ciphertext, ...about });
        expect(opened.data.plaintext).toBe(b64(plain));
        const sealed = Buffer.from(ciphertext.slice(9), 'base64');
        sealed[where % sealed.length] = (sealed[where % sealed.length] ?? 0) ^ flip;
        const changed = { ciphertext: `vault:v1:${b64(sealed)}`, ...about };
        expect(await codeOf(mount.call('write', `decrypt/${name}`, changed))).toBe(
          type === 'rsa-2048' ? 'transit.ciphertext' : 'transit.no_match',
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('each byte of a ciphertext counts', async () => {
  const mount = fresh();
  for (const type of AEADS) {
    const { ciphertext } = (await mount.call('write', `encrypt/${type}`, { type, plaintext: b64('message') }))
      .data;
    const sealed = Buffer.from(ciphertext.slice(9), 'base64');
    expect(sealed).toHaveLength(12 + 7 + 16);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const given = { ciphertext: `vault:v1:${b64(changed)}` };
      expect(await codeOf(mount.call('write', `decrypt/${type}`, given)), `byte ${at}`).toBe(
        'transit.no_match',
      );
      const cut = { ciphertext: `vault:v1:${b64(sealed.subarray(0, at))}` };
      expect(await codeOf(mount.call('write', `decrypt/${type}`, cut)), `cut at ${at}`).toBe(
        'transit.no_match',
      );
    }
  }
});

test('a batch answers each item as that item alone would be answered', async () => {
  const mount = fresh();
  await mount.call('write', 'keys/app', { derived: true, convergent_encryption: true });
  await mount.call('write', 'keys/sign', { type: 'ed25519' });
  const item = fc.record({
    plaintext: fc.oneof(bytes.map(b64), fc.constant('not base64')),
    context: fc.oneof(some.map(b64), fc.constant('')),
    key_version: fc.constantFrom(0, 1, 2),
  });
  const single = async (path: string, given: object) => {
    try {
      return (await mount.call('write', path, given)).data;
    } catch (error) {
      if (!isFailure(error)) throw error;
      return { error: error.message };
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 6 }), async (items) => {
      const alone = [];
      for (const one of items) alone.push(await single('encrypt/app', one));
      const batch = await mount.call('write', 'encrypt/app', { batch_input: items });
      expect(batch.data.batch_results).toEqual(alone.map((result) => ({ ...result, reference: '' })));
      expect(batch.status).toBe(alone.some((result) => 'error' in result) ? 400 : 200);

      const inputs = items.map(({ plaintext }) => ({ input: plaintext }));
      const signatures = [];
      for (const one of inputs) signatures.push(await single('sign/sign', one));
      const signed = await mount.call('write', 'sign/sign', { batch_input: inputs });
      expect(signed.data.batch_results).toEqual(
        signatures.map((result) => ({ key_version: 0, ...result, reference: '' })),
      );
    }),
    { numRuns: 60 },
  );
});

/** Rotating, rewrapping, trimming and the least versions, against a model that only counts. */
const command = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ act: 'rotate' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant('encrypt' as const), version: fc.integer({ min: -1, max: 6 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('config' as const),
      decryption: fc.integer({ min: -1, max: 6 }),
      encryption: fc.integer({ min: -1, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant('trim' as const), least: fc.integer({ min: -1, max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('rewrap' as const), which: fc.nat({ max: 20 }) }) },
  { weight: 1, arbitrary: fc.constant({ act: 'restart' as const }) },
);

test('rotation, least versions, rewrapping and trimming do what a simple model does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 30 }), async (commands) => {
      const mount = fresh();
      await mount.call('write', 'keys/app', {});
      let [latest, decryption, encryption, available] = [1, 1, 0, 0];
      const kept: { ciphertext: string; version: number }[] = [];
      const write = (path: string, data?: object) => mount.call('write', path, data);
      for (const step of commands) {
        switch (step.act) {
          case 'restart':
            mount.restart();
            break;
          case 'rotate':
            await write('keys/app/rotate');
            latest++;
            break;
          case 'encrypt': {
            const version = step.version === 0 ? latest : step.version;
            const fits = version >= Math.max(1, encryption, decryption) && version <= latest;
            const call = write('encrypt/app', { plaintext: b64('x'), key_version: step.version });
            if (step.version !== 0 && !fits) expect(await codeOf(call)).toBe('transit.version');
            else {
              const { data } = await call;
              expect(data.key_version).toBe(version);
              kept.push({ ciphertext: data.ciphertext, version });
            }
            break;
          }
          case 'config': {
            const least = step.decryption === 0 ? 1 : step.decryption;
            const fits =
              least >= 1 &&
              least <= latest &&
              step.encryption >= 0 &&
              step.encryption <= latest &&
              (step.encryption === 0 || step.encryption >= least) &&
              available <= least &&
              available <= step.encryption;
            const given = {
              min_decryption_version: step.decryption,
              min_encryption_version: step.encryption,
            };
            expect(await codeOf(write('keys/app/config', given))).toBe(fits ? 'done' : 'transit.key');
            if (fits) [decryption, encryption] = [least, step.encryption];
            break;
          }
          case 'trim': {
            const { least } = step;
            const fits =
              least >= available &&
              encryption > 0 &&
              least <= encryption &&
              least <= decryption &&
              least >= 0;
            const call = write('keys/app/trim', { min_available_version: least });
            expect(await codeOf(call)).toBe(fits ? 'done' : 'transit.key');
            if (fits) available = least;
            break;
          }
          case 'rewrap': {
            const one = kept[step.which % Math.max(1, kept.length)];
            if (one === undefined) break;
            const call = write('rewrap/app', { ciphertext: one.ciphertext });
            if (one.version < decryption) expect(await codeOf(call)).toBe('transit.too_old');
            else {
              const { data } = await call;
              kept.push({ ciphertext: data.ciphertext, version: latest });
              expect(data.ciphertext.startsWith(`vault:v${latest}:`)).toBe(true);
            }
            break;
          }
        }
        const { data: told } = await mount.call('read', 'keys/app');
        expect(told).toMatchObject({
          latest_version: latest,
          min_decryption_version: decryption,
          min_encryption_version: encryption,
          min_available_version: available,
        });
        expect(Object.keys(told.keys).map(Number)).toEqual(
          Array.from({ length: latest - decryption + 1 }, (_, index) => decryption + index),
        );
        const stored = await mount.storage.list('material/');
        const numbers = await mount.storage.list(`material/${stored[0] ?? ''}`);
        expect(numbers.length).toBe(latest - Math.max(1, available) + 1);
      }
      for (const { ciphertext, version } of kept) {
        const outcome = await codeOf(write('decrypt/app', { ciphertext }));
        expect(outcome).toBe(version < decryption ? 'transit.too_old' : 'done');
      }
    }),
    { numRuns: 60 },
  );
});
