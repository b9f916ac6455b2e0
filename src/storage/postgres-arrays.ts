/**
 * Arrays as PostgreSQL takes them in binary (array_recv): a hundred values go in one parameter, without being spelled in
 * hexadecimal and read again. `pg` sends a Buffer in binary, and the statement's own cast names the type.
 */

/** Types of elements, by the numbers that every PostgreSQL has for them (pg_type.dat). */
const BYTEA = 17;
const INT8 = 20;
/** Dimensions, whether there are nulls, the element's type; then length and lower bound of the one dimension. */
const HEADER_BYTES = 12;
const DIMENSION_BYTES = 8;

/** bytea[] in binary. */
export const byteaArray = (items: readonly Uint8Array[]): Buffer => array(BYTEA, items);

/** int8[] in binary, of whole numbers that a double holds. */
export const int8Array = (items: readonly number[]): Buffer =>
  array(
    INT8,
    items.map((item) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(item));
      return bytes;
    }),
  );

function array(type: number, items: readonly Uint8Array[]): Buffer {
  const body = items.reduce((sum, item) => sum + 4 + item.length, 0);
  const bytes = Buffer.alloc(HEADER_BYTES + (items.length === 0 ? 0 : DIMENSION_BYTES) + body);
  bytes.writeInt32BE(items.length === 0 ? 0 : 1, 0);
  bytes.writeInt32BE(type, 8);
  if (items.length === 0) return bytes;
  bytes.writeInt32BE(items.length, HEADER_BYTES);
  bytes.writeInt32BE(1, HEADER_BYTES + 4);
  let at = HEADER_BYTES + DIMENSION_BYTES;
  for (const item of items) {
    at = bytes.writeInt32BE(item.length, at);
    bytes.set(item, at);
    at += item.length;
  }
  return bytes;
}
