/** All functions of templates, by name. A later family is one more file and one more line here. */

import { builtins } from './builtins.ts';
import { encoding } from './encoding.ts';
import type { Row } from './table.ts';

const families = [encoding, builtins];

/** Looked up by whatever a template names, so no plain object: `constructor` is not a function here. */
export const functions: ReadonlyMap<string, Row> = new Map(
  families.flatMap((family) => Object.entries(family)),
);
