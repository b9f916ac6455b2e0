/** Overwrites keys that are no longer needed. Copies that the runtime made elsewhere are out of reach (SECURITY.md). */
export function wipe(...keys: readonly (Uint8Array | undefined)[]): void {
  for (const key of keys) key?.fill(0);
}
