/** The data of the scripts against the documents, where they are, and the page against the data. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { scripts } from './index.ts';
import { page } from './page.ts';
import { linesText, mistakesOf, rangeOf } from './script.ts';

const FOLDER = fileURLToPath(new URL('../../../../shared/seeds', import.meta.url));
const present = existsSync(FOLDER);
if (!present) console.warn('SKIPPED test/seeds/scripts against the documents: they are not there');

test('docs/seeds.md is what the data say', async () => {
  await expect(page(scripts)).toMatchFileSnapshot('../../../docs/seeds.md');
});

test('each step shows something: a command that fails would be told, and no look is without a sentence', () => {
  for (const { steps } of scripts)
    for (const step of steps) {
      for (const look of 'after' in step ? (step.after ?? []) : []) expect(look.seen).not.toBe('');
      if (step.mended !== undefined) expect(step.mended.was).toMatch(/\.\)?$/);
    }
});

test('a `!` stands before no command: under `set -e` it would hide what was not refused', () => {
  for (const { steps } of scripts)
    for (const step of steps) {
      const looks = [
        ...('after' in step ? (step.after ?? []) : []),
        ...(step.mended?.shown ? [step.mended.shown] : []),
      ];
      for (const text of [...('run' in step ? [step.run] : []), ...looks.map(({ run }) => run)])
        expect(text).not.toMatch(/^\s*! /m);
    }
});

test('mistakes come in the order of the document, each with what is run in its place', () => {
  for (const script of scripts) {
    const lines = mistakesOf(script).map(({ line }) => Number.parseInt(line, 10));
    expect(lines).toEqual([...lines].sort((a, b) => a - b));
    expect(mistakesOf(script).every(({ ran }) => ran !== '')).toBe(true);
  }
});

describe.skipIf(!present)('the lines of the documents', () => {
  for (const { document, steps, config } of present ? scripts : []) {
    const lines = readFileSync(`${FOLDER}/${document}`, 'utf8').split('\n');

    test(`${document}: each step names a line that holds what it says`, () => {
      const wrong = steps
        .filter(({ line, original }) => {
          const [first, last] = rangeOf(line);
          return !lines.slice(first - 1, last).some((text) => text.includes(original));
        })
        .map(({ line, original }) => `${linesText(line)}: ${original}`);
      expect(wrong).toEqual([]);
    });

    test(`${document}: no command of a script is left out`, () => {
      const covered = new Set<number>();
      for (const line of [
        ...steps.map((step) => step.line),
        ...(config.line === undefined ? [] : [config.line]),
      ]) {
        const [first, last] = rangeOf(line);
        for (let at = first; at <= last; at++) covered.add(at);
      }
      const commands = commandLines(lines);
      expect(commands.length).toBeGreaterThan(0);
      expect(commands.filter((at) => !covered.has(at)).map((at) => `${at}: ${lines[at - 1]}`)).toEqual([]);
    });
  }
});

/** Lines, from 1, that run a program of the field: in fences of shell, and in the scripts that manifests carry. */
function commandLines(lines: readonly string[]): number[] {
  const found: number[] = [];
  let fence: string | undefined;
  for (const [index, line] of lines.entries()) {
    const mark = /^```(\w*)/.exec(line);
    if (mark !== null) fence = fence === undefined ? (mark[1] ?? '') : undefined;
    else if (fence !== undefined && COMMAND.test(line) && !/^\s*#/.test(line)) found.push(index + 1);
  }
  return found;
}

const PROGRAMS = 'kubectl|psql|helm|task|aws|htpasswd|\\./\\S+\\.sh|env VAULT_TOKEN';
/** `vault` with one of its commands: the word alone names files, hosts and keys of manifests. */
const VAULT =
  'vault (operator|secrets|auth|write|read|kv|policy|status|token|lease|login|audit|list|delete|patch|server)\\b';
const COMMAND = new RegExp(`(^\\s*|\\$\\(|-- )(${PROGRAMS}|${VAULT})(\\s|$)`);
