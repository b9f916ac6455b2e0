/** Listings: of what a mount keeps, the same for roles, users and connections; and of folders that may be of any width. */

import { z } from 'zod';
import type { Page } from '../storage/storage.ts';
import { operation, type Reply, type Route } from './plugin.ts';

/** How many names are read and sent in one go: a millisecond of the one thread, about a socket's buffer of text. */
export const NAMES_AT_ONCE = 1000;

/** Lists the names of what is kept, all at once; none at all is an absence, as upstream has it. */
export const listing = (
  path: string,
  summary: string,
  kept: { names(): Promise<readonly string[]> },
): Route => ({
  path,
  operations: {
    list: operation({
      summary,
      input: z.object({}),
      output: z.object({ keys: z.array(z.string()) }),
      effect: 'none',
      async run() {
        const keys = await kept.names();
        return keys.length === 0 ? {} : { data: { keys: [...keys] } };
      },
    }),
  },
});

/**
 * The names of a folder. A wide one is read page by page while it is sent: a name that is there all the time is listed once,
 * one that comes or goes meanwhile may be listed or not.
 * @param list one page of it, as `Storage.list` gives it
 * @param asked the page that the caller wants; a limit of nothing or less is none
 */
export async function folderReply(
  list: (page: Page) => Promise<string[]>,
  { after, limit = 0 }: { readonly after?: string | undefined; readonly limit?: number | undefined },
): Promise<Reply<{ keys: string[] }>> {
  const wanted = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  const pages = pagesOf(list, after, wanted);
  const first = await pages.next();
  if (first.done) return {};
  const keys = first.value;
  if (keys.length === wanted || keys.length < NAMES_AT_ONCE) return { data: { keys } };
  return { data: { keys }, more: pages };
}

async function* pagesOf(
  list: (page: Page) => Promise<string[]>,
  start: string | undefined,
  wanted: number,
): AsyncGenerator<string[], void, void> {
  for (let after = start, left = wanted; left > 0; ) {
    const limit = Math.min(left, NAMES_AT_ONCE);
    const names = await list(after === undefined ? { limit } : { after, limit });
    if (names.length > 0) yield names;
    if (names.length < limit) return;
    after = names.at(-1);
    left -= names.length;
  }
}
