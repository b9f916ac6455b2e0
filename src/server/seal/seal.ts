/** What guards the root key: a key that people hold in shares, or a service that keeps one for us. */
export interface Seal {
  readonly type: string;
  wrap(key: Uint8Array): Promise<Uint8Array>;
  /** The key that was wrapped, or undefined where this seal did not wrap it or it was changed. */
  unwrap(blob: Uint8Array): Promise<Uint8Array | undefined>;
}
