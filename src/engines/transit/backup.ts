/**
 * A key as one text that another server of this program reads back. It carries secrets in plain: whoever has the text has the
 * key. What comes in is written by strangers, so it is read by a schema and each key in it is tried before it is kept.
 */

import { z } from 'zod';
import { base64, fromBase64 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { algorithmOf, KEY_TYPES } from '../../crypto/algorithms.ts';
import { importedKey, importedPublicKey, portableKey, publicText } from '../../crypto/keys.ts';
import { wipe } from '../../crypto/wipe.ts';
import { addVersion, checkedName, type Key, newKey, type Version } from './key.ts';
import type { Material } from './store.ts';

const FORMAT = 'holdfast-transit-backup-1';

const count = z.number().int().min(0).max(999_999_999);
const bytes = z.string().transform((text, context) => {
  const found = fromBase64(text);
  if (found !== undefined) return found;
  context.addIssue({ code: 'custom', message: 'not base64' });
  return z.NEVER;
});

const schema = z.strictObject({
  format: z.literal(FORMAT),
  name: z.string(),
  time: z.string(),
  type: z.enum(KEY_TYPES),
  derived: z.boolean(),
  convergent: z.boolean(),
  exportable: z.boolean(),
  plaintextBackup: z.boolean(),
  deletionAllowed: z.boolean(),
  latest: count.min(1),
  minDecryption: count.min(1),
  minEncryption: count,
  minAvailable: count,
  autoRotateMs: count.max(Number.MAX_SAFE_INTEGER),
  imported: z.boolean(),
  rotatable: z.boolean(),
  keyBytes: count,
  versions: z.record(
    z.string().regex(/^[1-9]\d{0,8}$/),
    z.strictObject({
      created: z.number().int(),
      key: bytes.optional(),
      public: z.string().optional(),
      hmac: bytes,
      chain: z.array(z.string()).optional(),
    }),
  ),
});
type Backup = z.output<typeof schema>;

/** @param material of every version */
export function writeBackup(
  name: string,
  key: Key,
  material: Readonly<Record<number, Material>>,
  now: number,
): z.input<typeof schema> {
  const { id: _, versions, ...rules } = key;
  const kind = algorithmOf(key.type);
  const written = Object.entries(versions).map(([number, version]) => {
    const held = material[Number(number)];
    if (held === undefined) throw failure('transit.too_old');
    const about = {
      created: version.created,
      hmac: base64(held.hmac),
      ...(version.chain === undefined ? {} : { chain: [...version.chain] }),
    };
    if (version.publicOnly === true) return [number, { ...about, public: version.public ?? '' }] as const;
    const portable = portableKey(kind, held.secret);
    const secret = base64(portable);
    wipe(portable);
    return [number, { ...about, key: secret }] as const;
  });
  return {
    format: FORMAT,
    name,
    time: new Date(now).toISOString(),
    ...rules,
    versions: Object.fromEntries(written),
  };
}

/**
 * @param id of the key that is to be made of it
 * @throws Failure transit.backup, which tells nothing of the content
 */
export function readBackup(
  text: string,
  id: string,
): { readonly name: string; readonly key: Key; readonly material: Readonly<Record<number, Material>> } {
  const read = schema.safeParse(parsed(text));
  if (!read.success) throw refused('it is not a backup that this server wrote');
  const { data } = read;
  const material: Record<number, Material> = {};
  const versions: Record<number, Version> = {};
  for (const [number, given] of Object.entries(data.versions)) {
    const { version, secret } = restored(data, given);
    versions[Number(number)] = version;
    material[Number(number)] = { secret, hmac: Buffer.from(given.hmac) };
  }
  checkNumbers(data);
  // Made anew by the rules for new keys, so that a backup cannot say what no key may be.
  const bare = newKey(id, {
    type: data.type,
    derived: data.derived,
    convergent: data.convergent,
    exportable: data.exportable,
    plaintextBackup: data.plaintextBackup,
    autoRotateMs: data.autoRotateMs,
    keyBytes: data.keyBytes,
    imported: data.imported ? { rotatable: data.rotatable } : undefined,
  });
  const { latest, minDecryption, minEncryption, minAvailable, deletionAllowed } = data;
  return {
    name: checkedName(data.name),
    key: {
      ...addVersion(bare, { created: 0 }),
      latest,
      minDecryption,
      minEncryption,
      minAvailable,
      deletionAllowed,
      versions,
    },
    material,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function restored(
  { type, derived }: Backup,
  given: Backup['versions'][string],
): { readonly version: Version; readonly secret: Buffer } {
  const kind = algorithmOf(type);
  const about = {
    created: given.created,
    ...(given.chain === undefined ? {} : { chain: given.chain }),
  };
  const secret =
    given.key !== undefined
      ? importedKey(kind, given.key)
      : derived
        ? undefined
        : importedPublicKey(kind, publicPem(given.public ?? ''));
  if (secret === undefined) throw refused('a key in it is not one of its type');
  const text = publicText(kind, secret);
  return {
    version: {
      ...about,
      ...(text === undefined ? {} : { public: text }),
      ...(given.key === undefined ? { publicOnly: true as const } : {}),
    },
    secret,
  };
}

/** The API tells Ed25519 keys as 32 raw bytes: back into PEM (RFC 8410 section 4). */
function publicPem(text: string): string {
  const raw = fromBase64(text);
  if (raw?.length !== 32) return text;
  const der = base64(Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]));
  return `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`;
}

function checkNumbers({ latest, minDecryption, minEncryption, minAvailable, versions }: Backup): void {
  const least = Math.max(1, minAvailable);
  const all = Object.keys(versions).map(Number);
  const whole =
    all.length === latest - least + 1 && all.every((number) => number >= least && number <= latest);
  const fit =
    minDecryption <= latest &&
    minEncryption <= latest &&
    minAvailable <= minDecryption &&
    (minEncryption === 0 || minEncryption >= minDecryption);
  if (!whole || !fit) throw refused('its versions do not fit together');
}

const refused = (reason: string) =>
  failure('transit.backup', { reason: `the backup cannot be restored: ${reason}` });
