/** How a value is decoded on its way into a Secret. The strategies are upstream's; an empty one is "None". */

import { textOf } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';

export type DecodingStrategy = '' | 'None' | 'Base64' | 'Base64URL' | 'Auto';
export type NullBytePolicy = '' | 'Ignore' | 'Fail';

/**
 * @param entry the key of the Secret, for messages
 * @throws Failure provider.decoding (the entry and the encoding; never a part of the value)
 */
export function decodeValue(
  bytes: Uint8Array,
  strategy: DecodingStrategy | undefined,
  entry: string,
): Uint8Array {
  switch (strategy) {
    case 'Base64':
    case 'Base64URL': {
      const decoded = fromText(bytes, strategy === 'Base64URL');
      if (decoded === undefined) throw failure('provider.decoding', { entry, strategy });
      return decoded;
    }
    case 'Auto':
      return fromText(bytes, false) ?? fromText(bytes, true) ?? bytes;
    default:
      return bytes;
  }
}

/** @throws Failure provider.null_byte where the policy forbids what a C string would be cut at */
export function checkNullBytes(bytes: Uint8Array, policy: NullBytePolicy | undefined, entry: string): void {
  if (policy === 'Fail' && bytes.includes(0)) throw failure('provider.null_byte', { entry });
}

/** Padded base64 of one alphabet; line breaks are skipped as Go's decoder skips them. */
function fromText(bytes: Uint8Array, url: boolean): Uint8Array | undefined {
  const text = textOf(bytes)?.replace(/[\r\n]/g, '');
  const alphabet = url ? /^[A-Za-z0-9_-]*={0,2}$/ : /^[A-Za-z0-9+/]*={0,2}$/;
  if (text === undefined || text.length % 4 !== 0 || !alphabet.test(text)) return undefined;
  return Buffer.from(text, url ? 'base64url' : 'base64');
}
