/** Sprig's functions of semantic versions. */

import { meets } from '../constraint.ts';
import { parseVersion } from '../semver.ts';
import { fn, type Table } from './table.ts';

export const versions: Table = {
  semver: fn('string', (_, text) => parseVersion(text)),
  semverCompare: fn('string, string', (_, constraint, version) => meets(constraint, version)),
};
