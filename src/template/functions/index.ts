/** All functions of templates, by name. A later family is one more file and one more line here. */

import { authorities } from './authorities.ts';
import { builtins } from './builtins.ts';
import { certificates } from './certificates.ts';
import { crypto } from './crypto.ts';
import { data } from './data.ts';
import { dates } from './dates.ts';
import { dicts } from './dicts.ts';
import { encoding } from './encoding.ts';
import { keys } from './keys.ts';
import { keystores } from './keystores.ts';
import { lists } from './lists.ts';
import { logic } from './logic.ts';
import { numbers } from './numbers.ts';
import { paths } from './paths.ts';
import { regex } from './regex.ts';
import { strings } from './strings.ts';
import type { Row } from './table.ts';
import { urls } from './urls.ts';
import { versions } from './versions.ts';

/** A later family wins: Sprig's `slice` takes the place of Go's own. */
const families = [
  authorities,
  builtins,
  certificates,
  crypto,
  data,
  dates,
  dicts,
  encoding,
  keys,
  keystores,
  lists,
  logic,
  numbers,
  paths,
  regex,
  strings,
  urls,
  versions,
];

/** Looked up by whatever a template names, so no plain object: `constructor` is not a function here. */
export const functions: ReadonlyMap<string, Row> = new Map(
  families.flatMap((family) => Object.entries(family)),
);
