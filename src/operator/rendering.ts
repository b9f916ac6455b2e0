/**
 * Templates of ExternalSecrets, rendered. What a template draws at random is fixed by a seed of the operator, the object
 * and the hashes of text and data: the same input gives the same Secret, where upstream's htpasswd makes a new one at each
 * refresh and everything that mounts it restarts (its #2699).
 */

import { createHash, createHmac } from 'node:crypto';
import { textOf, utf8 } from '../base/bytes.ts';
import type { KubeObject } from '../kube/kube.ts';
import { DEFAULT_FUEL, type Fuel, render } from '../template/index.ts';
import type { Env } from './controllers/externalsecret/observed.ts';

export interface RenderingOptions {
  /** 32 secret bytes; kept over restarts, the Secrets that use randomness stay as they are over restarts, too. */
  readonly seed: Uint8Array;
  readonly fuel?: Fuel;
  readonly delims?: { readonly left: string; readonly right: string };
}

type Data = ReadonlyMap<string, Uint8Array>;

/** What renders the templates of an object. */
export function createRendering({ seed, fuel = DEFAULT_FUEL, delims }: RenderingOptions) {
  return (object: KubeObject, now: Date): Env => {
    const uid = object.metadata.uid ?? '';
    const world = (text: string, data: Data) => ({ now, random: randomOf(seed, uid, text, data), fuel });
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
