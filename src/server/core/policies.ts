/**
 * The policies by name, and what a set of them allows: parsed once per text, compiled once per set and per what its templates
 * say of the caller. Two callers share what was compiled only where nothing in it can tell them apart.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Storage, Write } from '../../storage/storage.ts';
import type { Acl } from '../auth/acl.ts';
import { defaultPolicy, responseWrappingPolicy } from '../auth/builtin.ts';
import { compileAcl } from '../auth/matcher.ts';
import { type Policy, parsePolicy } from '../auth/policy.ts';
import { factsOf, type Identity, referencesOf, type TemplatePart } from '../auth/template.ts';

const FOLDER = 'policy/';
/** Policies, sets of them, and compiled sets that are kept. */
const ACL_LIMIT = 4096;
export const WRAPPING_POLICY = 'response-wrapping';

export class PolicyStore {
  readonly #storage: Storage;
  readonly #policies = new Map<string, Promise<Policy | undefined>>();
  readonly #sets = new Map<string, PolicySet>();
  readonly #acls = new Map<string, Acl>();
  readonly #watchers = new Set<() => void>();
  /** Another one after each change, and in each store: whoever keeps an `Acl` knows by it when it no longer stands. */
  revision: object = {};

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Writes the policies that every server has, where they are not there yet. */
  async prepare(): Promise<void> {
    for (const [name, text] of [
      ['default', defaultPolicy],
      [WRAPPING_POLICY, responseWrappingPolicy],
    ] as const) {
      if ((await this.#storage.get(FOLDER + name)) === undefined)
        await this.#storage.commit([{ key: FOLDER + name, value: utf8(text) }]);
    }
  }

  /** The names, in order, "root" among them. */
  async names(): Promise<string[]> {
    const stored = await this.#storage.list(FOLDER);
    return [...stored.filter((name) => name !== WRAPPING_POLICY), 'root'].sort();
  }

  async exists(name: string): Promise<boolean> {
    return name === 'root' || (await this.#policy(name)) !== undefined;
  }

  /** The text as it was written, byte for byte; "" for root. */
  async text(name: string): Promise<string | undefined> {
    if (name === 'root') return '';
    const entry = await this.#storage.get(FOLDER + name);
    return entry && (textOf(entry.value) ?? '');
  }

  /** @throws Failure policy.*, and what parsing finds */
  async write(name: string, text: string): Promise<void> {
    if (name === 'root') throw failure('policy.root', { action: 'update' });
    if (name === WRAPPING_POLICY) throw failure('policy.builtin', { action: 'update', name });
    parsePolicy(name, text);
    await this.#commit({ key: FOLDER + name, value: utf8(text) }, name);
  }

  /** @throws Failure policy.* */
  async delete(name: string): Promise<void> {
    if (name === 'root') throw failure('policy.root', { action: 'delete' });
    if (name === 'default') throw failure('policy.default');
    if (name === WRAPPING_POLICY) throw failure('policy.builtin', { action: 'delete', name });
    await this.#commit({ key: FOLDER + name, delete: true }, name);
  }

  /**
   * What these policies allow together. A name without a policy adds nothing.
   * @param identity who asks, for the templates; a template that names what it does not have adds nothing
   */
  acl(names: readonly string[], identity?: Identity): Soon<Acl> {
    const before = this.revision;
    // A name may hold a comma, but no NUL: no other separator keeps two sets apart.
    const name = names.join('\0');
    return after(this.#sets.get(name) ?? this.#set(name, names), (set) => {
      // Facts hold what others wrote, so they are told apart from the names, and from each other, as JSON.
      const key = set.references.length === 0 ? set.key : `${set.key}\0${factsOf(set.references, identity)}`;
      const known = this.#acls.get(key);
      if (known !== undefined && before === this.revision) return known;
      const acl = compileAcl(set.policies, identity);
      if (before === this.revision) remember(this.#acls, key, acl);
      return acl;
    });
  }

  async #set(key: string, names: readonly string[]): Promise<PolicySet> {
    const before = this.revision;
    const found = await Promise.all(names.map((name) => this.#policy(name)));
    const policies = found.filter((policy) => policy !== undefined);
    const templates = policies.flatMap(({ stanzas }) => stanzas.map(({ template }) => template));
    const set = { key: `${key}\0`, policies, references: referencesOf(templates) };
    if (before === this.revision) remember(this.#sets, key, set);
    return set;
  }

  /** Calls `watcher` after each change; gives what ends the watch. */
  onChange(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #policy(name: string): Promise<Policy | undefined> {
    let policy = this.#policies.get(name);
    if (policy === undefined) {
      if (this.#policies.size >= ACL_LIMIT) this.#policies.clear();
      policy = this.#read(name);
      this.#policies.set(name, policy);
      policy.catch(() => this.#policies.delete(name));
    }
    return policy;
  }

  async #read(name: string): Promise<Policy | undefined> {
    const text = name === 'root' ? '' : await this.text(name);
    return text === undefined ? undefined : parsePolicy(name, text);
  }

  /** Drops everything from memory: what changed elsewhere is not known any more. */
  forget(): void {
    this.revision = {};
    this.#policies.clear();
    this.#sets.clear();
    this.#acls.clear();
    for (const watcher of this.#watchers) watcher();
  }

  async #commit(write: Write, name: string): Promise<void> {
    try {
      await this.#storage.commit([write]);
    } finally {
      // After a failure too: nobody may know what the store kept.
      this.#changed(name);
    }
  }

  #changed(name: string): void {
    this.revision = {};
    this.#policies.delete(name);
    this.#sets.clear();
    this.#acls.clear();
    for (const watcher of this.#watchers) watcher();
  }
}

/** The policies behind a set of names, and what their templates ask of an identity. */
interface PolicySet {
  readonly key: string;
  readonly policies: readonly Policy[];
  readonly references: readonly Extract<TemplatePart, object>[];
}

/** Keeps as many as there is room for; the oldest goes. */
function remember<T>(kept: Map<string, T>, key: string, value: T): void {
  const oldest = kept.size >= ACL_LIMIT ? kept.keys().next().value : undefined;
  if (oldest !== undefined) kept.delete(oldest);
  kept.set(key, value);
}
