/** The three kinds of objects in a vault, and what of each goes into a Secret. Pure. */

import type { JsonWebKey } from '@azure/keyvault-keys';
import { base64url, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';

export type ObjectType = 'secret' | 'cert' | 'key';
const TYPES: ReadonlySet<string> = new Set(['secret', 'cert', 'key']);

export interface ObjectName {
  readonly type: ObjectType;
  readonly name: string;
}

/** "name", or "type/name"; what follows a second slash is not looked at, as upstream has it. @throws Failure provider.spec */
export function objectNamed(key: string, store: string): ObjectName {
  const [first = '', second] = key.split('/');
  const type = second === undefined ? 'secret' : first;
  const name = second ?? first;
  if (!TYPES.has(type))
    throw failure('provider.spec', {
      store,
      reason: `unknown Azure Keyvault object Type for ${name.slice(0, 200)}`,
    });
  if (!/^[0-9A-Za-z-]{1,127}$/.test(name))
    throw failure('provider.spec', {
      store,
      reason: `Key Vault has nothing called ${JSON.stringify(name.slice(0, 200))}: names have letters, digits and - alone`,
    });
  return { type: type as ObjectType, name };
}

/** A key as JSON Web Key, its members in upstream's order. The private half never leaves a vault. */
export function jwkOf({ keyOps, t, ...key }: JsonWebKey): Uint8Array {
  const numbers = { ...key, ...(t === undefined ? {} : { key_hsm: t }) };
  const all: Record<string, unknown> = { ...numbers, ...(keyOps === undefined ? {} : { key_ops: keyOps }) };
  const shown = ORDER.flatMap((name) => {
    const value = all[name];
    if (value === undefined || value === null) return [];
    return [[name, value instanceof Uint8Array ? base64url(value) : value] as const];
  });
  return utf8(JSON.stringify(Object.fromEntries(shown)));
}
const ORDER = [
  'kid',
  'kty',
  'key_ops',
  'n',
  'e',
  'd',
  'dp',
  'dq',
  'qi',
  'p',
  'q',
  'k',
  'key_hsm',
  'crv',
  'x',
  'y',
];

/** What each kind of object has beside its value. */
export interface Properties {
  readonly tags?: Readonly<Record<string, string>>;
  readonly createdOn?: Date;
  readonly updatedOn?: Date;
  readonly expiresOn?: Date;
  readonly notBefore?: Date;
}

/** Tags and times, as upstream gives them for `metadataPolicy: Fetch`. */
export function metadataOf({
  tags,
  expiresOn,
  createdOn,
  updatedOn,
  notBefore,
}: Properties): Record<string, string> {
  const times = {
    'attribute.expires': expiresOn,
    'attribute.created': createdOn,
    'attribute.updated': updatedOn,
    'attribute.notBefore': notBefore,
  };
  const told = Object.entries(times).flatMap(([name, time]) =>
    time === undefined ? [] : [[name, time.toISOString().replace(/\.\d+Z$/, 'Z')] as const],
  );
  return { ...tags, ...Object.fromEntries(told) };
}
