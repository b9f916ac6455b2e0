/** Texts as files, for clients that take nothing but paths. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Writes each text to a file of its own, gives `use` the paths by the same names, and removes them after it. */
export async function withFiles<N extends string, T>(
  texts: Readonly<Record<N, string>>,
  use: (paths: Readonly<Record<N, string>>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-files-'));
  try {
    const names = Object.keys(texts) as N[];
    const paths = Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Record<N, string>;
    for (const name of names) await writeFile(paths[name], texts[name], { mode: 0o600 });
    return await use(paths);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
