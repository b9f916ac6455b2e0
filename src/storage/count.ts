import type { Storage } from './storage.ts';

const PAGE = 1000;

/** How many entries lie below `folder` ("" or ending in "/"), counted up to `limit`. Reads names, never values. */
export async function countBelow(storage: Storage, folder: string, limit: number): Promise<number> {
  const folders = [folder];
  let count = 0;
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (let after: string | undefined; ; ) {
      const names = await storage.list(next, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const name of names) {
        if (name.endsWith('/')) folders.push(next + name);
        else if (++count >= limit) return count;
      }
      after = names.at(-1);
      if (after === undefined || names.length < PAGE) break;
    }
  }
  return count;
}
