/** Which traces are recorded, by the names that OpenTelemetry's specification gives its built-in samplers. Pure. */

import { own } from '../own.ts';
import type { TraceContext } from './context.ts';

/** @param traceId of the trace that begins or goes on; @param parent absent where it begins here */
export type Sampler = (traceId: string, parent: TraceContext | undefined) => boolean;

/** Digits at the end of a trace id that are random by Trace Context, level 2, as far as a number holds them. */
const DIGITS = 13;

/** By the trace id alone: every program with the same share decides alike. @param share in [0, 1] */
export function byRatio(share: number): Sampler {
  const least = (1 - share) * 16 ** DIGITS;
  return (traceId) => Number.parseInt(traceId.slice(-DIGITS), 16) >= least;
}

/** As whoever began the trace decided; by `root` where it begins here. */
export const byParent =
  (root: Sampler): Sampler =>
  (traceId, parent) =>
    parent?.sampled ?? root(traceId, undefined);

const ALWAYS: Sampler = () => true;
const NEVER: Sampler = () => false;

const ROOTS: Readonly<Record<string, (share: number) => Sampler>> = {
  always_on: () => ALWAYS,
  always_off: () => NEVER,
  traceidratio: byRatio,
};

export const SAMPLERS: readonly string[] = [
  ...Object.keys(ROOTS),
  ...Object.keys(ROOTS).map((name) => `parentbased_${name}`),
];

/** The sampler of a name; undefined where there is none of that name. @param share what `traceidratio` records */
export function samplerOf(name: string, share: number): Sampler | undefined {
  const follows = name.startsWith('parentbased_');
  const bare = follows ? name.slice('parentbased_'.length) : name;
  const root = own(ROOTS, bare)?.(share);
  return root === undefined || !follows ? root : byParent(root);
}
