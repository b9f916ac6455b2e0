/** `code/`: the code of a key as it is now, and whether a code that somebody typed is right. */

import { z } from 'zod';
import { goDuration } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { hotp, isRight, stepAt } from '../code.ts';
import { checkedName, name } from '../fields.ts';
import { type Key, refused, secretBytes } from '../key.ts';
import type { KeyStore } from '../store.ts';

export function codeRoutes(mount: Mount, store: KeyStore): Route[] {
  return [
    {
      path: 'code/:name',
      operations: {
        read: operation({
          summary: 'Tell the code of a key as it is now.',
          input: z.object({ name }),
          output: z.object({
            code: z.string(),
            generated: z.number(),
            expire_time: z.number(),
            period: z.string(),
          }),
          effect: 'none',
          async run(given) {
            const key = present(await store.get(checkedName(given.name)), given.name);
            const now = mount.clock.now();
            const step = stepAt(now, key);
            return {
              data: {
                code: hotp(secretBytes(key), step, key),
                generated: Math.floor(now / 1000),
                expire_time: (step + 1) * key.period,
                period: goDuration(key.period * 1000),
              },
            };
          },
        }),
        write: operation({
          summary: 'Tell whether a code is right; one that was right is taken once.',
          input: z.object({
            name,
            code: z
              .union([z.string().max(64), z.number()])
              .transform(String)
              .nullish(),
          }),
          output: z.object({ valid: z.boolean() }),
          effect: 'write',
          async run(given) {
            let valid = false;
            await store.change(checkedName(given.name), (before) => {
              const key = present(before, given.name);
              const after = taken(key, given.code ?? '', mount.clock.now());
              valid = after !== undefined;
              return after;
            });
            return { data: { valid } };
          },
        }),
      },
    },
  ];
}

function present(key: Key | undefined, keyName: string): Key {
  if (key === undefined) throw failure('totp.unknown_key', { name: keyName });
  return key;
}

/**
 * The key once the code is taken, or undefined where the code is wrong. A wrong one is not remembered: else whoever guesses
 * would lock out the code that is right a moment later.
 * @throws Failure totp.request, totp.used
 */
export function taken(key: Key, code: string, now: number): Key | undefined {
  if (code === '') throw refused('the code value is required');
  if (code.trim() !== code || Buffer.byteLength(code) !== key.digits)
    throw refused('invalid number of digits for the code');
  const used = key.used.filter(({ until }) => until > now);
  if (used.some((one) => one.code === code)) throw failure('totp.used');
  if (!isRight(secretBytes(key), code, now, key)) return undefined;
  return { ...key, used: [...used, { code, until: now + (2 + key.skew) * key.period * 1000 }] };
}
