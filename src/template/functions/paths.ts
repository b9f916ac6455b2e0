/** Paths with slashes, by Go's package path; on Linux, where the operator runs, those of the system are the same. */

import { fn, type Table } from './table.ts';

function clean(path: string): string {
  if (path === '') return '.';
  const rooted = path.startsWith('/');
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!rooted) kept.push(part);
  }
  const joined = kept.join('/');
  if (rooted) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

function base(path: string): string {
  if (path === '') return '.';
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

function extension(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot);
}

const baseRow = fn('string', (_, path) => base(path));
const dirRow = fn('string', (_, path) => clean(path.slice(0, path.lastIndexOf('/') + 1)));
const cleanRow = fn('string', (_, path) => clean(path));
const extRow = fn('string', (_, path) => extension(path));
const isAbsRow = fn('string', (_, path) => path.startsWith('/'));

export const paths: Table = {
  base: baseRow,
  dir: dirRow,
  clean: cleanRow,
  ext: extRow,
  isAbs: isAbsRow,
  osBase: baseRow,
  osDir: dirRow,
  osClean: cleanRow,
  osExt: extRow,
  osIsAbs: isAbsRow,
};
