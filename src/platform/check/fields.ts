/**
 * A value against a schema, as an API server would judge it: fields that nobody knows, and values that do not fit. The
 * schemas themselves let unknown fields through, because an operator that meets one has to go on.
 */

import { z } from 'zod';
import { own } from '../../base/own.ts';
import { type Bag, isBag } from '../../base/shape.ts';

export { withoutNulls } from '../../base/shape.ts';

type Path = readonly PropertyKey[];

export interface UnknownField {
  readonly path: Path;
  readonly field: string;
  readonly known: readonly string[];
}

export interface Misfit {
  readonly path: Path;
  readonly reason: string;
}

/** Where a value does not fit, in the order of the schema. */
export function misfitsOf(schema: z.ZodType, value: unknown): readonly Misfit[] {
  const read = schema.safeParse(value);
  return (read.error?.issues ?? []).map(({ path, message }) => ({
    path,
    reason: / received undefined$/.test(message)
      ? 'it has to be given'
      : message.replace(/^Invalid (input|option|string): /, ''),
  }));
}

/** Fields of `value` that `schema` does not have. */
export function* unknownFields(schema: z.ZodType, value: unknown, path: Path = []): Iterable<UnknownField> {
  const inner = bare(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    for (const [index, item] of value.entries())
      yield* unknownFields(inner.element as z.ZodType, item, [...path, index]);
  } else if (inner instanceof z.ZodRecord && isBag(value)) {
    for (const [key, member] of Object.entries(value))
      yield* unknownFields(inner.valueType as z.ZodType, member, [...path, key]);
  } else if (inner instanceof z.ZodObject && isBag(value)) {
    yield* ofObject(inner, value, path);
  } else if (inner instanceof z.ZodUnion) {
    yield* ofUnion(inner.options as readonly z.ZodType[], value, path);
  }
}

function* ofObject(schema: z.ZodObject, value: Bag, path: Path): Iterable<UnknownField> {
  const shape = schema.shape as Readonly<Record<string, z.ZodType>>;
  const known = Object.keys(shape);
  const open = schema.def.catchall !== undefined && !(schema.def.catchall instanceof z.ZodNever);
  for (const [field, member] of Object.entries(value)) {
    const of = own(shape, field);
    if (of !== undefined) yield* unknownFields(of, member, [...path, field]);
    else if (!open) yield { path, field, known };
  }
}

/** Those of the option that knows most of the value. */
function* ofUnion(options: readonly z.ZodType[], value: unknown, path: Path): Iterable<UnknownField> {
  const each = options
    .filter((option) => !isBag(value) || !(bare(option) instanceof z.ZodString))
    .map((option) => [...unknownFields(option, value, path)]);
  yield* each.sort((a, b) => a.length - b.length)[0] ?? [];
}

/** The schema under what only says that a value may be absent, or what it then is. */
function bare(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) {
    const { in: before, out: after } = schema.def as unknown as { in: z.ZodType; out: z.ZodType };
    return bare(before instanceof z.ZodTransform ? after : before);
  }
  if (schema instanceof z.ZodLazy) return bare(schema.def.getter() as z.ZodType);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly
  )
    return bare(schema.unwrap() as z.ZodType);
  return schema;
}

/** A path as people write it: "spec.data[0].remoteRef". */
export const dotted = (path: Path): string =>
  path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : `${text}${text === '' ? '' : '.'}${String(step)}`,
    '',
  );
