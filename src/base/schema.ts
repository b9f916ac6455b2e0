/** The lenient field types of the Vault API, as zod schemas: what comes in is what clients send, what goes out is canonical. */

import { z } from 'zod';
import { parseDuration } from './duration.ts';
import { Exact, RawJson } from './json.ts';

/** Seconds as a number or text, or a Go duration; milliseconds come out. */
export const duration = () =>
  z
    .union([z.number(), z.string()])
    .transform((given, context) => {
      try {
        return given === '' ? 0 : parseDuration(given);
      } catch {
        context.addIssue({ code: 'custom', message: 'invalid duration' });
        return z.NEVER;
      }
    })
    .meta({ wire: 'duration' });

/** A list, or its items in one text, separated by commas; empty items are dropped. */
export const commaList = () =>
  z
    .union([z.array(z.union([z.string(), z.number()]).transform(String)), z.string()])
    .transform((given) =>
      (typeof given === 'string' ? given.split(',').map((item) => item.trim()) : given).filter(
        (item) => item !== '',
      ),
    )
    .meta({ wire: 'commaList' });

/** A boolean, or what Go's ParseBool takes for one. */
export const flag = () =>
  z
    .union([z.boolean(), z.string(), z.number()])
    .transform((given, context) => {
      const text = String(given).toLowerCase();
      if (['1', 't', 'true'].includes(text)) return true;
      if (['0', 'f', 'false', ''].includes(text)) return false;
      context.addIssue({ code: 'custom', message: 'expected a boolean' });
      return z.NEVER;
    })
    .meta({ wire: 'boolean' });

/** A whole number, or its decimal text. */
export const integer = () =>
  z
    .union([z.number(), z.string(), z.instanceof(Exact).transform((n) => n.text)])
    .transform((given, context) => {
      const value = typeof given === 'string' && given.trim() === '' ? Number.NaN : Number(given);
      if (Number.isSafeInteger(value)) return value;
      context.addIssue({ code: 'custom', message: 'expected a whole number' });
      return z.NEVER;
    })
    .meta({ wire: 'integer' });

const NO_PROTO = 'no member can be named "__proto__"';

/**
 * `schema` for an object whose names its sender chose. Zod's record leaves a member called `__proto__` out without a word,
 * and a bound that is left out lets everybody in: so that name is refused, at any depth.
 */
export const anyNames = <T extends z.ZodType>(schema: T) =>
  z.preprocess((given, context) => {
    if (holdsProto(given)) context.addIssue({ code: 'custom', message: NO_PROTO });
    return given;
  }, schema);

/** Depth is bounded by whoever read the JSON. */
function holdsProto(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return Object.hasOwn(given, '__proto__') || Object.values(given).some(holdsProto);
}

/** An object of texts, or a list of "k=v" texts, or one such text. */
export const keyValues = () =>
  anyNames(
    z
      .union([
        z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)),
        z.array(z.string()),
        z.string(),
      ])
      .transform((given, context) => {
        if (typeof given === 'object' && !Array.isArray(given)) return given;
        const pairs = (typeof given === 'string' ? [given] : given)
          .filter((p) => p !== '')
          .map((pair) => pair.split(/=(.*)/s));
        if (pairs.some(([name]) => name === '__proto__')) {
          context.addIssue({ code: 'custom', message: NO_PROTO });
          return z.NEVER;
        }
        if (pairs.every((pair) => pair.length > 1))
          return Object.fromEntries(pairs.map(([k, v]) => [k, v])) as Record<string, string>;
        context.addIssue({ code: 'custom', message: 'expected key=value' });
        return z.NEVER;
      }),
  ).meta({ wire: 'keyValues' });

/** A member that the operation keeps as JSON text (named in its `raw` list). */
export const rawJson = () => z.instanceof(RawJson).meta({ wire: 'json' });
