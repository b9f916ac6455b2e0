/** `export/`, `backup/`, `restore/` and `byok-export/`: the ways by which a key leaves, each only where the key allows it. */

import { z } from 'zod';
import { base64, textOf, utf8 } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { stringify } from '../../../base/json.ts';
import { flag } from '../../../base/schema.ts';
import { exportedPrivate, exportedPublic, type KeyFormat, portableKey } from '../../../crypto/keys.ts';
import { sealKey } from '../../../crypto/keywrap.ts';
import { wipe } from '../../../crypto/wipe.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { nothing, usable } from '../answers.ts';
import { readBackup, writeBackup } from '../backup.ts';
import { abilities, algorithm, checkedName, type Key, type Version } from '../key.ts';
import { type OpenKey, withKey } from '../opened.ts';
import { type KeyStore, type Material, wipeMaterial } from '../store.ts';
import { decoded } from '../text.ts';
import { hashNameOf } from './import.ts';

const TYPES = ['encryption-key', 'signing-key', 'hmac-key', 'public-key', 'certificate-chain'] as const;
type ExportType = (typeof TYPES)[number];

const exported = z.object({ name: z.string(), type: z.string(), keys: z.record(z.string(), z.string()) });
const refused = (reason: string) => failure('transit.export', { reason });

export function exportRoutes(mount: Mount, store: KeyStore): Route[] {
  const read = operation({
    summary: 'The secret bytes of an exportable key, or the public ones of any.',
    input: z.object({
      type: z.string(),
      name: z.string(),
      version: z.string().optional(),
      format: z.enum(['', 'raw', 'der', 'pem']).default(''),
    }),
    output: exported,
    effect: 'none',
    async run({ type, name, version, format }): Promise<Reply<z.input<typeof exported>>> {
      const what = TYPES.find((known) => known === type);
      if (what === undefined) throw refused(`invalid export type; known: ${TYPES.join(', ')}`);
      const key = await store.get(checkedName(name));
      if (key === undefined) return {};
      checkExport(key, what);
      const keys = await withKey(store, key, async (open) => {
        const found: Record<string, string> = {};
        for (const [number, about] of chosen(key, version))
          found[number] = await exportedAs(open, what, number, about, format);
        return found;
      });
      return { data: { name, type: key.type, keys } };
    },
  });

  const restore = operation({
    summary: 'Bring back a key from its backup, under its own or another name.',
    input: z.object({ name: z.string().optional(), backup: z.string(), force: flag().nullish() }),
    output: nothing,
    effect: 'write',
    async run(given): Promise<Reply<Record<string, never>>> {
      const backup = readBackup(textOf(decoded(given.backup, 'backup')) ?? '', store.newId());
      const name = checkedName(given.name ?? backup.name);
      try {
        await store.change(name, (there) => {
          if (there !== undefined && given.force !== true)
            throw failure('transit.backup', { reason: `key "${name}" already exists` });
          return { key: backup.key, material: backup.material, result: undefined };
        });
      } finally {
        for (const material of Object.values(backup.material)) wipeMaterial(material);
      }
      return {};
    },
  });

  const byok = operation({
    summary: 'A key, wrapped for another server under the public RSA key that came from there.',
    input: z.object({
      destination: z.string(),
      source: z.string(),
      version: z.string().optional(),
      hash: z.string().default('SHA256'),
    }),
    output: exported,
    effect: 'none',
    async run({ destination, source, version, hash }): Promise<Reply<z.input<typeof exported>>> {
      const [target, key] = [await store.get(checkedName(destination)), await store.get(checkedName(source))];
      if (target === undefined) throw failure('transit.no_key', { name: destination });
      if (key === undefined) throw failure('transit.no_key', { name: source });
      if (algorithm(target).kind !== 'rsa') throw refused('the destination key must be an RSA key');
      if (!key.exportable) throw refused('private key material is not exportable');
      const hashName = hashNameOf(hash);
      const keys = await withKey(store, target, async (holder) => {
        const { secret: rsa } = await holder.material(target.latest);
        return withKey(store, key, async (open) => {
          const found: Record<string, string> = {};
          for (const [number, about] of chosen(key, version)) {
            if (about.publicOnly === true)
              throw refused('a version without its private key cannot be exported');
            const portable = portableKey(algorithm(key), (await open.material(number)).secret);
            found[number] = base64(sealKey(rsa, portable, hashName));
            wipe(portable);
          }
          return found;
        });
      });
      return { data: { name: source, type: key.type, keys } };
    },
  });

  return [
    { path: 'export/:type/:name', operations: { read } },
    { path: 'export/:type/:name/:version', operations: { read } },
    {
      path: 'backup/:name',
      operations: {
        read: operation({
          summary: 'A key with all its versions in plain, to be kept as safe as the key itself.',
          input: z.object({ name: z.string() }),
          output: z.object({ backup: z.string() }),
          effect: 'none',
          async run({ name }) {
            const key = await store.get(checkedName(name));
            if (key === undefined) throw failure('transit.no_key', { name });
            if (!key.exportable)
              throw failure('transit.backup', { reason: 'exporting is disallowed on the policy' });
            if (!key.plaintextBackup)
              throw failure('transit.backup', { reason: 'plaintext backup is disallowed on the policy' });
            const text = await withKey(store, key, async (open) => {
              const material: Record<number, Material> = {};
              for (const number of Object.keys(key.versions))
                material[Number(number)] = await open.material(Number(number));
              return stringify(writeBackup(name, key, material, mount.clock.now()));
            });
            return { data: { backup: base64(utf8(text)) } };
          },
        }),
      },
    },
    { path: 'restore', operations: { write: restore } },
    { path: 'restore/:name', operations: { write: restore } },
    { path: 'byok-export/:destination/:source', operations: { read: byok } },
    { path: 'byok-export/:destination/:source/:version', operations: { read: byok } },
  ];
}

function checkExport(key: Key, what: ExportType): void {
  const isPublic = what === 'public-key' || what === 'certificate-chain';
  if (!key.exportable && !isPublic) throw refused('private key material is not exportable');
  const can = abilities(key);
  if (what === 'encryption-key' && !can.encryption) throw refused('encryption not supported for the key');
  if (what === 'signing-key' && !can.signing) throw refused('signing not supported for the key');
  if (isPublic && !can.signing) throw refused(`unknown key type ${key.type} for export type ${what}`);
}

/** @throws Failure transit.export where the version is not there, or too old to be used */
function chosen(key: Key, asked: string | undefined): [number, Version][] {
  if (asked === undefined) return usable(key);
  const number = asked === 'latest' ? key.latest : Number(/^v?(\d{1,9})$/.exec(asked)?.[1] ?? Number.NaN);
  if (Number.isNaN(number)) throw refused('invalid key version');
  if (number < key.minDecryption) throw refused('version for export is below minimum decryption version');
  const version = key.versions[number];
  if (version === undefined) throw refused('version does not exist or cannot be found');
  return [[number, version]];
}

async function exportedAs(
  open: OpenKey,
  what: ExportType,
  number: number,
  version: Version,
  format: KeyFormat,
): Promise<string> {
  const { key } = open;
  const kind = algorithm(key);
  if (what === 'certificate-chain') {
    if (version.chain === undefined)
      throw refused('selected key version does not have a certificate chain imported');
    return version.chain.join('\n');
  }
  const { secret, hmac } = await open.material(number);
  if (what === 'hmac-key') {
    if (format === 'der' || format === 'pem') throw refused('an HMAC key has no such format');
    return base64(key.type === 'hmac' ? secret : hmac);
  }
  if (what !== 'public-key' && version.publicOnly === true) return '';
  const text =
    what === 'public-key' ? exportedPublic(kind, secret, format) : exportedPrivate(kind, secret, format);
  if (text === undefined) throw refused('a key of this type has no such format');
  return text;
}
