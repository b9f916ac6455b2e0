/**
 * Go's text/template with the functions that users of ExternalSecrets have. Stands alone: no I/O, no clock and no
 * randomness but what the caller hands in. Trusts neither the template nor the data: whatever a template does ends
 * within its fuel, and no error says what a value is.
 */

import type { KeyObject } from 'node:crypto';
import { execute } from './exec.ts';
import { type Fuel, Meter } from './fuel.ts';
import { functions } from './functions/index.ts';
import type { Row } from './functions/table.ts';
import type { Keep } from './keep.ts';
import { parse } from './parse.ts';
import { fromBytes, fromText, toBytes, toText } from './text.ts';
import { type Data, fromData } from './value.ts';

export { DEFAULT_FUEL, type Fuel } from './fuel.ts';
export { functions } from './functions/index.ts';
export { type Call, CallError, fn, type Row } from './functions/table.ts';
export { Keep } from './keep.ts';
export type { Data } from './value.ts';

/** What a rendering may know of the world. */
export interface Env {
  /** What `now` gives. */
  readonly now: Date;
  /**
   * When what is rendered for was made. Certificates begin at times that are counted from it, so that one that is rendered again
   * shortly after is the same; absent, each begins now.
   */
  readonly since?: Date | undefined;
  /** So many random bytes; the same bytes give the same text. Functions such as `randAlphaNum` and `htpasswd` read it. */
  readonly random: (count: number) => Uint8Array;
  readonly fuel: Fuel;
  /** Told at the end of a rendering what it used, however it ended. */
  readonly spent?: (used: Fuel) => void;
  /** Remembers keys between renderings, so that none is searched for twice. It changes no result. */
  readonly keys?: Keep<KeyObject> | undefined;
}

export interface Options {
  /** What messages call the template. */
  readonly name?: string;
  readonly delims?: { readonly left: string; readonly right: string };
  /** More functions, or others for the same names. */
  readonly functions?: ReadonlyMap<string, Row>;
}

export interface Template {
  readonly name: string;
  /**
   * Renders with Go's `missingkey=error`. A map that holds bytes alone is Go's map[string]string.
   * @throws Failure template.exec, template.fuel
   */
  render(data: Data, env: Env): Uint8Array;
}

/**
 * Reads a template once, to be rendered often.
 * @throws Failure template.parse, with line and column, in Go's words
 */
export function parseTemplate(text: string | Uint8Array, options: Options = {}): Template {
  const name = fromText(options.name ?? 'template');
  const source = typeof text === 'string' ? fromText(text) : fromBytes(text);
  const lookup = (wanted: string): Row | undefined => options.functions?.get(wanted) ?? functions.get(wanted);
  const delims = {
    left: fromText(options.delims?.left || '{{'),
    right: fromText(options.delims?.right || '}}'),
  };
  const { trees } = parse(name, source, delims, (wanted) => lookup(wanted) !== undefined);
  return {
    name: toText(name),
    render(data, env) {
      const meter = new Meter(toText(name), env.fuel);
      const { now, since, random, keys } = env;
      const call = { meter, now, since, random, keys };
      try {
        return toBytes(execute({ name, source, trees, lookup }, fromData(data) ?? undefined, call));
      } finally {
        env.spent?.(meter.used);
      }
    },
  };
}

/** Parses and renders in one step. @throws as `parseTemplate` and `Template.render` */
export function render(text: string | Uint8Array, data: Data, env: Env, options: Options = {}): Uint8Array {
  return parseTemplate(text, options).render(data, env);
}
