/** How values and keys are brought into shape: the provider room's rules, in the terms of an ExternalSecret. */

import { textOf, utf8, view } from '../../../../base/bytes.ts';
import { failure } from '../../../../base/errors.ts';
import { parseJson } from '../../../../base/json.ts';
import type { Value } from '../../../../provider/provider.ts';
import type { Rewrite } from '../../../api/externalsecret.ts';

type Data = ReadonlyMap<string, Uint8Array>;

export const wholeOf = (value: Value): Uint8Array => ('bytes' in value ? value.bytes : utf8(value.json));

export function propertyOf(value: Value, property: string, key: string): Uint8Array {
  if (property === '') return wholeOf(value);
  if ('fields' in value) {
    const bytes = value.fields.get(property);
    if (bytes !== undefined) return bytes;
  }
  throw failure('operator.spec_invalid', { reason: `cannot find secret data for key: "${property}" ${key}` });
}

export function fieldsOf(value: Value, property: string, key: string): Map<string, Uint8Array> {
  if (property === '' && 'fields' in value) return new Map(value.fields);
  const text = textOf(propertyOf(value, property, key)) ?? '';
  const parsed = parseJson(text);
  return new Map(Object.entries(parsed as object).map(([k, v]) => [k, utf8(String(v))]));
}

export function decode(
  bytes: Uint8Array,
  strategy: string | undefined,
  _nul: string | undefined,
  _key: string,
): Uint8Array {
  return strategy === 'Base64' ? Buffer.from(view(bytes).toString(), 'base64') : bytes;
}
export const convertKeys = (data: Data, _strategy: string): Map<string, Uint8Array> =>
  new Map([...data].map(([k, v]) => [k.replace(/[^-._a-zA-Z0-9]/g, '_'), v]));
export const checkKeys = (data: Data): Data => data;
export const rewriteKeys = (
  data: Data,
  _rules: readonly Rewrite[],
  _render: (text: string, key: string) => string,
): Map<string, Uint8Array> => new Map(data);
