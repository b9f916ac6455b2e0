/** Going through what lies in a folder of the store, page by page: memory stays flat, and others get their turn. */

import type { Storage } from '../../storage/storage.ts';

const PAGE = 512;

/** The names directly in `folder` (which ends in "/"), in byte order; what comes or goes meanwhile may be missed. */
export async function* namesIn(storage: Storage, folder: string): AsyncGenerator<string, void, void> {
  let after: string | undefined;
  for (;;) {
    const page = after === undefined ? { limit: PAGE } : { limit: PAGE, after };
    const names = await storage.list(folder, page);
    yield* names;
    after = names.at(-1);
    if (after === undefined || names.length < PAGE) return;
    await new Promise((resume) => setImmediate(resume));
  }
}

/** The keys of all entries below `folder`, without it; values are not read. */
export async function* keysBelow(storage: Storage, folder: string): AsyncGenerator<string, void, void> {
  for await (const name of namesIn(storage, folder))
    if (name.endsWith('/')) for await (const below of keysBelow(storage, folder + name)) yield name + below;
    else yield name;
}

/**
 * Does `work` for each of `items`, `atOnce` of them at a time.
 * @throws the first failure, after all the others were done
 */
export async function forEach<T>(
  items: AsyncIterable<T>,
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const failures: unknown[] = [];
  const rest = items[Symbol.asyncIterator]();
  const worker = async (): Promise<void> => {
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      try {
        await work(next.value);
      } catch (error) {
        // One tells what is wrong; a hundred thousand of them would be kept for nothing.
        if (failures.length === 0) failures.push(error);
      }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failures.length > 0) throw failures[0];
}
