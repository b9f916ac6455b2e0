/**
 * The few shapes that our kinds are written in beside zod's plain ones, and the compiler from them to the structural
 * schemas of a CustomResourceDefinition. What is not named here is refused, because what a general JSON Schema writer
 * makes of unions and strict objects is no structural schema (apiextensions.k8s.io/v1, "Specifying a structural schema").
 */

import { z } from 'zod';

export type Structural = { readonly [key: string]: unknown };

interface Marks {
  readonly crd?: 'intOrString' | 'preserve' | 'exactlyOne';
  readonly rules?: readonly CelRule[];
  readonly description?: string;
}

/** A rule over an object that an API server checks: CEL, and what is said where it does not hold. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** A whole number or text: `refreshInterval: 5` and `refreshInterval: 5m`. */
export const intOrString = () => z.union([z.number().int(), z.string()]).meta({ crd: 'intOrString' });

/** An object whose insides are somebody else's. */
export const preserve = () => z.record(z.string(), z.unknown()).meta({ crd: 'preserve' });

/** An object of optional members of which exactly one is set. */
export const exactlyOne = <Shape extends Record<string, z.ZodOptional<z.ZodType>>>(shape: Shape) =>
  z
    .object(shape)
    .refine((given) => Object.values(given).filter((member) => member !== undefined).length === 1, {
      error: `exactly one of ${Object.keys(shape).join(', ')} must be set`,
    })
    .meta({ crd: 'exactlyOne' });

/** An object that an API server holds to rules; who reads it where no such server stands has to look for itself. */
export const ruled = <S extends z.ZodObject>(schema: S, rules: readonly CelRule[]): S =>
  schema.meta({ rules }) as S;

/**
 * The structural schema of a zod schema. Defaults are left out on purpose: a default that enters stored objects makes
 * every GitOps tool see drift (external-secrets #5145, #6797), so they are applied where we read.
 * @throws TypeError for anything outside the subset: that is a mistake of the one who wrote the schema
 */
export function structural(schema: z.ZodType): Structural {
  const marks: Marks = (schema.meta() as Marks | undefined) ?? {};
  const described = marks.description === undefined ? {} : { description: marks.description };
  switch (marks.crd) {
    case 'intOrString':
      return {
        ...described,
        anyOf: [{ type: 'integer' }, { type: 'string' }],
        'x-kubernetes-int-or-string': true,
      };
    case 'preserve':
      return { ...described, type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    case 'exactlyOne':
      return { ...described, ...object(schema), ...onlyOne(schema) };
    default:
      return { ...described, ...plain(schema), ...rulesOf(marks) };
  }
}

const rulesOf = ({ rules }: Marks): Structural =>
  rules === undefined ? {} : { 'x-kubernetes-validations': rules };

function plain(schema: z.ZodType): Structural {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return structural(schema.unwrap() as z.ZodType);
  }
  if (schema instanceof z.ZodObject) return object(schema);
  if (schema instanceof z.ZodArray) {
    return { type: 'array', items: structural(schema.element as z.ZodType), ...bounds(schema) };
  }
  if (schema instanceof z.ZodRecord) {
    return { type: 'object', additionalProperties: structural(schema.valueType as z.ZodType) };
  }
  if (schema instanceof z.ZodEnum) return { type: 'string', enum: [...schema.options] };
  if (schema instanceof z.ZodBoolean) return { type: 'boolean' };
  if (schema instanceof z.ZodString) return text(schema);
  if (schema instanceof z.ZodNumber && schema.isInt) return whole(schema);
  throw new TypeError(`no structural schema for zod's ${schema.def.type}`);
}

function object(schema: z.ZodType): Structural {
  if (!(schema instanceof z.ZodObject)) throw new TypeError('exactlyOne is made of an object');
  const shape = schema.shape as Record<string, z.ZodType>;
  const required = Object.keys(shape).filter((key) => !optional(shape[key]));
  const open = schema.def.catchall instanceof z.ZodUnknown;
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(shape).map(([key, member]) => [key, structural(member)])),
    ...(required.length === 0 ? {} : { required }),
    ...(open ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
  };
}

const optional = (schema: z.ZodType | undefined): boolean =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault;

/** CEL cannot see preserved members, so open objects count their properties instead. */
function onlyOne(schema: z.ZodType): Structural {
  const shape = schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {};
  const names = Object.keys(shape);
  return {
    minProperties: 1,
    maxProperties: 1,
    'x-kubernetes-validations': [
      {
        // A sum, not a list with a macro: under a list without a bound, that costs more than an API server allows.
        rule: `${names.map((name) => `(has(self.${name}) ? 1 : 0)`).join(' + ')} == 1`,
        message: `exactly one of ${names.join(', ')} must be set`,
      },
    ],
  };
}

/** zod has patterns among its checks alone. */
function text(schema: z.ZodString): Structural {
  const { minLength, maxLength } = schema;
  const patterns = (schema.def.checks ?? []).flatMap(
    ({ _zod }) => (_zod.def as { readonly pattern?: RegExp }).pattern ?? [],
  );
  if (patterns.length > 1) throw new TypeError('a structural schema has one pattern');
  return {
    type: 'string',
    ...(minLength === null ? {} : { minLength }),
    ...(maxLength === null ? {} : { maxLength }),
    ...(patterns[0] === undefined ? {} : { pattern: patterns[0].source }),
  };
}

/** zod bounds every whole number by what a double holds exactly: that says nothing of the field. */
function whole({ minValue, maxValue }: z.ZodNumber): Structural {
  return {
    type: 'integer',
    ...(minValue === null || minValue === Number.MIN_SAFE_INTEGER ? {} : { minimum: minValue }),
    ...(maxValue === null || maxValue === Number.MAX_SAFE_INTEGER ? {} : { maximum: maxValue }),
  };
}

/** Of a list: zod has its bounds among its checks alone. */
function bounds(schema: z.ZodArray): Structural {
  const checks = (schema.def.checks ?? []).map(
    ({ _zod }) =>
      _zod.def as { readonly check: string; readonly minimum?: number; readonly maximum?: number },
  );
  const least = checks.find(({ check }) => check === 'min_length')?.minimum;
  const most = checks.find(({ check }) => check === 'max_length')?.maximum;
  return {
    ...(least === undefined ? {} : { minItems: least }),
    ...(most === undefined ? {} : { maxItems: most }),
  };
}
