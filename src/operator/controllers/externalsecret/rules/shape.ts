/** How values and keys are brought into shape: the provider room's rules, in the terms of an ExternalSecret. */

import { utf8 } from '../../../../base/bytes.ts';
import { convertKeys } from '../../../../provider/convert.ts';
import {
  checkNullBytes,
  type DecodingStrategy,
  decodeValue,
  type NullBytePolicy,
} from '../../../../provider/decode.ts';
import { validKeys } from '../../../../provider/keys.ts';
import { extract, lookup } from '../../../../provider/property.ts';
import type { Value } from '../../../../provider/provider.ts';
import { type RewriteStep, rewrite } from '../../../../provider/rewrite.ts';
import type { Rewrite } from '../../../api/externalsecret.ts';

export { convertKeys, extract as fieldsOf, lookup as propertyOf, validKeys as checkKeys };

type Data = ReadonlyMap<string, Uint8Array>;

/** A secret as one value: `find` gives each secret whole. */
export const wholeOf = (value: Value): Uint8Array => ('bytes' in value ? value.bytes : utf8(value.json));

/** @throws Failure provider.decoding, provider.null_byte; NUL bytes are looked for in what came out */
export function decode(
  bytes: Uint8Array,
  strategy: DecodingStrategy | undefined,
  nullBytes: NullBytePolicy | undefined,
  entry: string,
): Uint8Array {
  const decoded = decodeValue(bytes, strategy, entry);
  checkNullBytes(decoded, nullBytes, entry);
  return decoded;
}

/** @param render renders a template over one key. @throws Failure provider.rewrite, provider.merge, template.* */
export const rewriteKeys = (
  data: Data,
  steps: readonly Rewrite[],
  render: (text: string, key: string) => string,
): Map<string, Uint8Array> => rewrite(data, steps.flatMap(stepOf), (text, { value }) => render(text, value));

function stepOf({ regexp, transform, merge }: Rewrite): RewriteStep[] {
  if (regexp !== undefined) return [{ regexp }];
  if (transform !== undefined) return [{ transform }];
  if (merge === undefined) return [];
  return [
    {
      merge: {
        into: merge.into,
        priority: merge.priority,
        priorityPolicy: merge.priorityPolicy || 'Strict',
        conflictPolicy: merge.conflictPolicy || 'Error',
        strategy: merge.strategy || 'Extract',
      },
    },
  ];
}
