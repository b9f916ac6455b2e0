/** What a webhook answered, as a value: the whole body, or what a JSON path finds in it. */

import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { Ordered, type OrderedJson, parseOrdered } from '../../base/json.ts';
import { jsonPath, PathError } from '../../provider/jsonpath/jsonpath.ts';
import { bytesOf, objectValue } from '../../provider/property.ts';
import type { Value } from '../../provider/provider.ts';

/** An answer is bounded by its bytes already. */
const LIMITS = { depth: 128, count: 2_000_000 };

/**
 * @param path "" leaves the body as it is
 * @throws Failure provider.read in upstream's words, which never quotes what came
 */
export function answered(
  body: Uint8Array,
  path: string,
  at: { readonly store: string; readonly key: string },
): Value {
  if (path === '') return { bytes: body };
  const refuse = (reason: string): Error =>
    failure('provider.read', { store: at.store, path: at.key, reason });
  let document: OrderedJson;
  try {
    document = parseOrdered(textOf(body) ?? '', LIMITS);
  } catch {
    throw refuse('failed to parse response json');
  }
  try {
    const found = first(jsonPath(document, path));
    if (found === undefined) throw refuse("filter worked but didn't get any result");
    return found instanceof Ordered ? objectValue(found) : { bytes: bytesOf(found) };
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw refuse(`failed to get response path ${path}: ${error.message}`);
  }
}

/** Of a list the first item, and of that its first: upstream keeps this for old manifests. */
function first(value: OrderedJson): OrderedJson | undefined {
  let now: OrderedJson | undefined = value;
  while (Array.isArray(now)) now = (now as readonly OrderedJson[])[0];
  return now;
}
