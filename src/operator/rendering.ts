/**
 * Templates of ExternalSecrets, rendered. What a template draws at random is fixed by a seed of the operator, the object
 * and the hashes of text and data: the same input gives the same Secret, where upstream's htpasswd makes a new one at each
 * refresh and everything that mounts it restarts (its #2699).
 */

import { createHash, createHmac, type KeyObject } from 'node:crypto';
import { textOf, utf8 } from '../base/bytes.ts';
import type { KubeObject } from '../kube/kube.ts';
import { DEFAULT_FUEL, type Fuel, Keep, render, type Env as World } from '../template/index.ts';
import type { Env } from './controllers/externalsecret/observed.ts';

export interface RenderingOptions {
  /** 32 secret bytes; kept over restarts, the Secrets that use randomness stay as they are over restarts, too. */
  readonly seed: Uint8Array;
  readonly fuel?: Fuel;
  readonly delims?: { readonly left: string; readonly right: string };
}

type Data = ReadonlyMap<string, Uint8Array>;

/** Keys that templates made, most of them RSA: about 2 KiB each. */
const KEPT_KEYS = 256;
/** So many times the fuel of one template is there for all of an object: its templates run one after the other, and nobody else runs meanwhile. */
const TEMPLATES_WORTH = 4;

/** What renders the templates of an object. */
export function createRendering({ seed, fuel = DEFAULT_FUEL, delims }: RenderingOptions) {
  const keys = new Keep<KeyObject>(KEPT_KEYS);
  return (object: KubeObject, now: Date): Env => {
    const { uid = '', creationTimestamp } = object.metadata;
    const made = creationTimestamp === undefined ? Number.NaN : Date.parse(creationTimestamp);
    const since = Number.isNaN(made) ? undefined : new Date(made);
    const left = { steps: fuel.steps, bytes: fuel.bytes, cost: fuel.cost };
    for (const kind of KINDS) left[kind] *= TEMPLATES_WORTH;
    const world = (text: string, data: Data): World => ({
      now,
      since,
      random: randomOf(seed, uid, text, data),
      fuel: {
        steps: Math.min(fuel.steps, left.steps),
        bytes: Math.min(fuel.bytes, left.bytes),
        cost: Math.min(fuel.cost, left.cost),
      },
      spent: (used) => {
        for (const kind of KINDS) left[kind] -= used[kind];
      },
      keys,
    });
    return {
      render: (text, name, data) =>
        render(text, data, world(text, data), { name, ...(delims === undefined ? {} : { delims }) }),
      // Keys are rewritten with the usual delimiters always, as upstream has it.
      renderKey: (text, key) => {
        const data = new Map([['value', utf8(key)]]);
        return textOf(render(text, data, world(text, data), { name: 'rewrite.transform' })) ?? '';
      },
    };
  };
}

const KINDS = ['steps', 'bytes', 'cost'] as const;

/** Bytes of HMAC-SHA256 in counter mode under a key that is bound to all that goes in. */
function randomOf(seed: Uint8Array, uid: string, text: string, data: Data): (count: number) => Uint8Array {
  const inputs = createHash('sha256').update(JSON.stringify([uid, text]));
  for (const [key, bytes] of data) inputs.update(`\n${JSON.stringify(key)}:${bytes.length}:`).update(bytes);
  const key = createHmac('sha256', seed).update(inputs.digest()).digest();
  let block = 0;
  return (count) => {
    const parts: Buffer[] = [];
    for (let have = 0; have < count; have += 32) {
      parts.push(createHmac('sha256', key).update(String(block++)).digest());
    }
    return Buffer.concat(parts).subarray(0, count);
  };
}
