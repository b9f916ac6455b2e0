/** Turning a store's names into names that a Secret's entries may have. */

import { failure } from '../base/errors.ts';

export type ConversionStrategy = '' | 'Default' | 'Unicode';

/** @throws Failure provider.collision where two names become one: losing either would be silent */
export function convertKeys(
  values: ReadonlyMap<string, Uint8Array>,
  strategy: ConversionStrategy | undefined,
): Map<string, Uint8Array> {
  const converted = new Map<string, Uint8Array>();
  for (const [key, bytes] of values) {
    const name = convertKey(key, strategy);
    if (converted.has(name)) throw failure('provider.collision', { name });
    converted.set(name, bytes);
  }
  return converted;
}

/** Each character that is none of `-._a-zA-Z0-9` becomes `_`, or `_U<hex>_` with the strategy Unicode. */
function convertKey(key: string, strategy: ConversionStrategy | undefined): string {
  return key.replace(/[^-._a-zA-Z0-9]/gu, (c) =>
    strategy === 'Unicode' ? `_U${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}_` : '_',
  );
}
