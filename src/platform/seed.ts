/**
 * Seeding: brings each entry of the matrix into the store. Planned whole before anything is written; then one key at a
 * time, patch first, so that several keys share a path. Whatever stands in the way other than "there is no such path"
 * stops the seeding: a 403 or a 503 read as absence would wipe the neighbours of a key.
 */

import { hash as bcryptHash, compare } from 'bcryptjs';
import { failure } from '../base/errors.ts';
import { type SeedEntry, violation } from './matrix.ts';

/** What seeding needs of a server. Paths are as people write them: "secret/argocd/admin". */
export interface SeedStore {
  /** The texts under a path, or undefined where it is really absent. */
  read(path: string): Promise<Readonly<Record<string, string>> | undefined>;
  /** Adds keys to what is there; `absent` when there is nothing to add to. */
  patch(path: string, data: Readonly<Record<string, string>>): Promise<'done' | 'absent'>;
  /** Creates the path; `exists` when somebody else was first. */
  create(path: string, data: Readonly<Record<string, string>>): Promise<'done' | 'exists'>;
  /** Random bytes of the server's own generator, encoded. */
  random(bytes: number, encoding: 'base64' | 'hex'): Promise<string>;
  /** Makes sure of the mount that only administrators read. */
  ensureMount(mount: string): Promise<void>;
}

export type Mode = 'demo' | 'production';

export interface SeedRequest {
  readonly entry: SeedEntry;
  /** The value that was given, "" or undefined for a random one. */
  readonly given: string | undefined;
}

export interface SeedOptions {
  readonly mode: Mode;
  /** "path#key" of random values to make anew. */
  readonly rotate?: ReadonlySet<string>;
  /** Leave every key that has a value as it is: a second start must not undo what people changed. */
  readonly onlyMissing?: boolean;
}

export interface Seeded {
  readonly path: string;
  readonly key: string;
  readonly outcome: 'stored' | 'generated' | 'rotated' | 'kept';
  /** Where the text behind a stored hash can be read by an administrator. */
  readonly plaintextAt?: string;
}

/** The mount for the texts behind stored hashes. A mount of its own: policies on `secret/*` must not reach it. */
export const PLAINTEXT_MOUNT = 'seed-plaintext';
const RANDOM_BYTES = 32;
/** bcrypt reads 72 bytes and silently drops the rest, so that two long passwords could be one. */
const BCRYPT_LIMIT = 72;
const BCRYPT_COST = 10;

/**
 * Checks everything that can be known before the first write.
 * @throws Failure seed.production_value, seed.constraint, seed.too_long
 */
export function checkSeeds(requests: readonly SeedRequest[], mode: Mode): void {
  for (const { entry, given } of requests) {
    if (given === undefined || given === '') continue;
    const at = { path: entry.path, key: entry.key };
    if (mode === 'production')
      throw failure('seed.production_value', {
        ...at,
        variable: entry.variable === '' ? 'the command line' : entry.variable,
      });
    const wrong = violation(given, entry.constraints);
    if (wrong !== undefined) throw failure('seed.constraint', { ...at, reason: wrong });
    if (entry.hash === 'bcrypt' && Buffer.byteLength(given) > BCRYPT_LIMIT)
      throw failure('seed.too_long', { ...at, limit: BCRYPT_LIMIT });
  }
}

/** Seeds all, in order, and tells of each as it is done. @throws the first failure; what came before it stays */
export async function* seed(
  store: SeedStore,
  requests: readonly SeedRequest[],
  options: SeedOptions,
): AsyncGenerator<Seeded> {
  checkSeeds(requests, options.mode);
  for (const request of requests) yield await seedOne(store, request, options);
}

async function seedOne(
  store: SeedStore,
  { entry, given }: SeedRequest,
  options: SeedOptions,
): Promise<Seeded> {
  const { path, key } = entry;
  const current = (await store.read(path))?.[key];
  const rotating = options.rotate?.has(`${path}#${key}`) === true;
  const random = given === undefined || given === '';
  if (
    current !== undefined &&
    !rotating &&
    (random || options.onlyMissing || (await alreadyStored(entry, given, current)))
  ) {
    return { path, key, outcome: 'kept', ...plaintextPlace(entry) };
  }
  const text = random ? await generate(store, entry) : given;
  await write(store, path, key, entry.hash === 'bcrypt' ? await hashed(store, entry, text) : text);
  const outcome = !random ? 'stored' : current === undefined ? 'generated' : 'rotated';
  return { path, key, outcome, ...plaintextPlace(entry) };
}

async function alreadyStored(entry: SeedEntry, given: string, current: string): Promise<boolean> {
  return entry.hash === 'bcrypt'
    ? compare(given, current.replace(/^\$2y\$/, '$2b$')).catch(() => false)
    : current === given;
}

async function generate(store: SeedStore, entry: SeedEntry): Promise<string> {
  for (let attempt = 0; attempt < 16; attempt++) {
    const text = await store.random(RANDOM_BYTES, entry.encoding);
    if (violation(text, entry.constraints) === undefined) return text;
  }
  throw failure('seed.constraint', {
    path: entry.path,
    key: entry.key,
    reason: `no random ${entry.encoding} text satisfies what the application demands`,
  });
}

/** Keeps the text first, then makes the hash: a crash in between loses nothing. */
async function hashed(store: SeedStore, entry: SeedEntry, text: string): Promise<string> {
  await store.ensureMount(PLAINTEXT_MOUNT);
  await write(store, plaintextPath(entry.path), entry.key, text);
  const made = await bcryptHash(text, BCRYPT_COST);
  // Argo CD and htpasswd write the same algorithm with the prefix of crypt_blowfish.
  return made.replace(/^\$2[ab]\$/, '$2y$');
}

async function write(store: SeedStore, path: string, key: string, value: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    if ((await store.patch(path, { [key]: value })) === 'done') return;
    if ((await store.create(path, { [key]: value })) === 'done') return;
  }
  throw failure('seed.contended', { path, key });
}

const plaintextPath = (path: string): string => `${PLAINTEXT_MOUNT}/${path}`;

const plaintextPlace = (entry: SeedEntry): { plaintextAt?: string } =>
  entry.hash === 'bcrypt' ? { plaintextAt: plaintextPath(entry.path) } : {};
