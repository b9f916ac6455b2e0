/** What a server of the Vault API answered, read with the order and the digits that it came in. */

import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { Ordered, type OrderedJson, parseOrdered } from '../../base/json.ts';
import type { Answer } from '../../client/client.ts';
import { objectValue } from '../../provider/property.ts';
import type { ProviderEnv } from '../../provider/provider.ts';

type Named = Pick<ProviderEnv, 'store'>;

/** An object of an answer as a secret. @throws Failure provider.read where it is something else; nothing is undefined */
export function secretOf(
  data: OrderedJson | undefined,
  path: string,
  env: Named,
): ReturnType<typeof objectValue> | undefined {
  if (data === undefined || data === null) return undefined;
  if (!(data instanceof Ordered))
    throw failure('provider.read', { store: env.store, path, reason: 'its data is not a JSON object' });
  return objectValue(data);
}

export const memberOf = (value: OrderedJson | undefined, name: string): OrderedJson | undefined =>
  value instanceof Ordered ? value.members.get(name) : undefined;

/** The body with the order and the digits of its numbers. @throws Failure provider.read */
export function ordered(answer: Answer, path: string, env: Named): OrderedJson | undefined {
  const text = textOf(answer.bytes);
  if (text === '') return undefined;
  try {
    if (text !== undefined) return parseOrdered(text, { depth: 128, count: 2_000_000 });
  } catch {
    // Replaced below: a parser's error quotes what it read.
  }
  throw failure('provider.read', { store: env.store, path, reason: 'the answer is not JSON' });
}
