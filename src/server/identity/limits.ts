/** What names, policies and metadata of an identity may be. Pure; the bounds and the words are upstream's. */

import { failure } from '../../base/errors.ts';

const PAIRS = 64;
const KEY_BYTES = 128;
const VALUE_BYTES = 512;
const NAME_BYTES = 1024;
const KEY_FORM = /^[a-zA-Z0-9=/+_-]+$/;
/** Kept for the server's own use. */
const RESERVED = 'vault-';

const refuse = (reason: string) => failure('request.invalid', { reason });
const bytes = (text: string): number => Buffer.byteLength(text);

/** @param owner "entity", "group" or "alias". @throws Failure request.invalid; keys are named, values never */
export function checkMetadata(owner: string, metadata: Readonly<Record<string, string>>): void {
  const bad = (reason: string) => refuse(`invalid ${owner} metadata: ${reason}`);
  const pairs = Object.entries(metadata);
  if (pairs.length > PAIRS) throw bad(`metadata cannot contain more than ${PAIRS} key/value pairs`);
  for (const [key, value] of pairs) {
    const wrong = keyReason(key) ?? (bytes(value) > VALUE_BYTES ? tooLong('value', VALUE_BYTES) : undefined);
    if (wrong !== undefined)
      throw bad(`failed to load metadata pair with the key ${JSON.stringify(key)}: ${wrong}`);
  }
}

const tooLong = (what: string, limit: number): string => `${what} is too long (limit: ${limit} characters)`;

function keyReason(key: string): string | undefined {
  if (key === '') return 'key cannot be blank';
  if (!KEY_FORM.test(key)) return 'key contains invalid characters';
  if (bytes(key) > KEY_BYTES) return tooLong('key', KEY_BYTES);
  return key.startsWith(RESERVED) ? `key prefix "${RESERVED}" is reserved for internal use` : undefined;
}

const UNPRINTABLE = /[\p{C}\u2028\u2029]/u;

/** @throws Failure request.invalid; keys are named, values never */
export function checkCustomMetadata(metadata: Readonly<Record<string, string>>): void {
  const bad = (reason: string) => refuse(`custom_metadata validation failed: ${reason}`);
  const pairs = Object.entries(metadata);
  if (pairs.length > PAIRS) throw bad(`payload must contain at most ${PAIRS} keys, provided ${pairs.length}`);
  for (const [key, value] of pairs) {
    const named = JSON.stringify(key);
    if (bytes(key) === 0 || bytes(key) > KEY_BYTES)
      throw bad(`length of key ${named} is ${bytes(key)} but must be 0 < len(key) <= ${KEY_BYTES}`);
    if (bytes(value) === 0 || bytes(value) > VALUE_BYTES)
      throw bad(
        `length of value for key ${named} is ${bytes(value)} but must be 0 < len(value) <= ${VALUE_BYTES}`,
      );
    if (UNPRINTABLE.test(key)) throw bad(`key ${named} contains unprintable characters`);
    if (UNPRINTABLE.test(value)) throw bad(`value for key ${named} contains unprintable characters`);
  }
}

/** The policies that an identity may give: without case, each once, in order; never root. @throws Failure request.invalid */
export function identityPolicies(given: readonly string[]): string[] {
  const names = given.map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  if (names.includes('root')) throw refuse('policies cannot contain root');
  return [...new Set(names)].sort();
}

/** @throws Failure request.invalid for a name that is too long to be kept in a log line */
export function checkName(name: string): void {
  if (bytes(name) > NAME_BYTES) throw refuse(`a name may have ${NAME_BYTES} bytes`);
}
