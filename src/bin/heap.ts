/** How V8 is to keep the memory of a server. */

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
