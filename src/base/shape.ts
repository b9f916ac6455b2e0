/** Parsed values of strangers (JSON, YAML), looked at before anything is known of them. */

/** An object with fields of unknown shape. */
export type Bag = Readonly<Record<string, unknown>>;

export const isBag = (value: unknown): value is Bag =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value as an object; anything else is an object without fields. */
export const bagOf = (value: unknown): Bag => (isBag(value) ? value : {});

/** The value as a list; anything else is an empty one. */
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** What is left of a value when members that are null are taken for absent, as an API server takes them. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isBag(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (member === null ? [] : [[key, withoutNulls(member)]])),
  );
}
