/** Whether what is read is there: engines, paths, and the keys at them. */

import { failure } from '../../../base/errors.ts';
import { deletionPolicy } from '../../../operator/controllers/externalsecret/observed.ts';
import type { Finding } from '../finding.ts';
import { refusedPath } from '../grants.ts';
import { keysAt, type Lookup, lookupsOf } from '../keys.ts';
import { found, type Path, type World } from '../world.ts';
import { near1 } from './kinds.ts';

/** The engine that each store reads from. */
export function* mounts({ stores, server }: World): Iterable<Finding> {
  if (server?.mounts === undefined) return;
  for (const { item, vault } of stores) {
    const mount = vault?.vault.path?.replace(/^\/+|\/+$/g, '') ?? '';
    if (vault === undefined || mount === '') continue;
    const at = ['spec', 'provider', 'vault'];
    const type = server.mounts.get(mount);
    const said = vault.vault.version;
    if (type === undefined) {
      // A store of version 1 may read below an engine: "database/creds".
      if (said === 'v1' && [...server.mounts.keys()].some((one) => mount.startsWith(`${one}/`))) continue;
      const near = near1(mount, server.mounts.keys());
      yield found('error', item, [...at, 'path'], failure('check.mount_missing', { mount, near }));
    } else if ((type === 'kv-v2' && said === 'v1') || (type !== 'kv-v2' && said === 'v2')) {
      const right = type === 'kv-v2' ? 'v2' : 'v1';
      yield found(
        'error',
        item,
        [...at, 'version'],
        failure('check.kv_version', { mount, said: said.slice(1), type, right }),
      );
    }
  }
}

/** What each key leads to. Once for each path of an object, at its first key; properties each by itself. */
export function* keys(world: World): Iterable<Finding> {
  for (const view of world.views) {
    const seen = new Set<string>();
    for (const lookup of lookupsOf(world, view)) {
      const first = !seen.has(lookup.path);
      seen.add(lookup.path);
      if (first) yield* places(world, lookup);
      yield* properties(world, lookup);
    }
  }
}

function* places(world: World, { view, ref, path, typed, engine, at }: Lookup): Iterable<Finding> {
  const tell = (cls: Finding['class'], wrong: Finding['failure']): Finding =>
    found(cls, view.item, at, wrong);
  const reason = refusedPath(engine?.path ?? path);
  if (reason !== undefined) {
    yield tell('error', failure('check.path_invalid', { key: ref.key.slice(0, 120), reason }));
  } else if (engine?.certificate === true && !engine.parameters) {
    yield tell('error', failure('check.engine_parameters', { path: engine.path }));
  } else if (engine !== undefined) {
    yield tell('upstream-only', failure('check.engine_key', { path, engine: engine.path }));
  } else if (world.paths !== undefined && !world.paths.has(typed)) {
    const near = near1(typed, world.paths.keys());
    // With another policy, what is not there is left out.
    const cls = deletionPolicy(view.spec) === 'Retain' ? 'error' : 'warning';
    yield tell(cls, failure('check.path_missing', { path: typed, near }));
  }
}

/** A property is a key of that name, else a path into one: its first step is a key. */
function* properties(world: World, lookup: Lookup): Iterable<Finding> {
  const { property } = lookup.ref;
  const known = keysAt(world, lookup);
  if (known === undefined || property === '' || known.has(property)) return;
  if (/^[@#]/.test(property)) return;
  const [first = ''] = property.split(/(?<!\\)[.|#]/);
  if (known.has(first.replaceAll('\\', '')) || /[*?]/.test(first)) return;
  const at: Path = [...lookup.at.slice(0, -1), 'property'];
  const near = near1(property, known) || ofAll(known);
  yield found(
    'error',
    lookup.view.item,
    at,
    failure('check.property_missing', { path: lookup.typed, property, near }),
  );
}

const ofAll = (names: ReadonlySet<string>): string =>
  names.size > 8 ? '' : `; it has: ${[...names].join(', ')}`;
