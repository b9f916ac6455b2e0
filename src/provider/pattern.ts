/** Patterns that manifests search by. RE2, because they are a tenant's and the search is ours. */

import { RE2JS } from 're2js';
import { failure } from '../base/errors.ts';

/**
 * Whether a name matches `find.name.regexp`, which is not anchored; every name matches none.
 * @param store for messages. @throws Failure provider.spec
 */
export function namePattern(pattern: string | undefined, store: string): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch {
    throw failure('provider.spec', { store, reason: 'find.name is not a regular expression (RE2)' });
  }
  return (name) => compiled.matcher(name).find();
}
