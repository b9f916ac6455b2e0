/** How V8 is to keep the memory of a server, and that of an operator. */

import { setFlagsFromString } from 'node:v8';

/**
 * Two of V8's guesses are wrong for a server that answers small requests for months. To be called before it begins.
 *
 * It lets a heap grow to several times what lives before it collects the old generation. What lives here is bounded by caches,
 * so the rest is garbage, and on a dashboard it looks like a leak for the first half hour: at two fifths, memory is flat
 * (`npm run bench -- soak`).
 *
 * And where what a line of code made once outlived a collection, as all that is under way does when the machine stalls, it has
 * that line allocate in the old generation from then on. For what lives as long as a request, that makes full collections of
 * what a young one does for nothing: a third of the time of a cached read (`npm run bench -- kv-read`).
 */
export function tuneHeap(): void {
  setFlagsFromString('--heap-growing-percent=40');
  setFlagsFromString('--no-allocation-site-pretenuring');
}

/** Of what lives: how much more there may be before the old generation of an operator is collected, in percent. */
const OPERATOR_GROWTH = 15;

/**
 * An operator waits for others nearly all the time, and is one of many pods on a node: its memory counts for more than its
 * speed. To be called before it begins (`npm run bench -- operator`).
 *
 * The young generation stays as small as it is when a process begins. V8 doubles it up to two halves of 16 MB, which stay
 * resident; what a reconcile makes is a hundred kilobytes, and dead when it ends.
 *
 * And full collections move together what is left on half empty pages, which V8 else does only for pages that are nearly empty:
 * a first sync leaves pages behind in which one cached object keeps all from being given back.
 */
export function keepHeapSmall(): void {
  tuneHeap();
  setFlagsFromString(`--heap-growing-percent=${OPERATOR_GROWTH}`);
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--optimize-for-size');
}
