/** Spreading what is periodic: all that one `kubectl apply` created would else come back in one second for ever. */

import { sha256 } from '../base/bytes.ts';
import type { KubeObject } from '../kube/kube.ts';

const MOST_SPREAD = 300_000;

/** How long after its interval an object is due, in milliseconds: by its UID, within a tenth of the interval, five minutes at most. */
export function spreadOf({ metadata }: KubeObject, intervalMs: number): number {
  const part = sha256(metadata.uid ?? '').readUInt32BE(0) / 2 ** 32;
  return Math.floor(part * Math.min(intervalMs / 10, MOST_SPREAD));
}
