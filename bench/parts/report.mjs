/*
 * docs/benchmarks.md from the figures that `--json` wrote into bench/results: one section for each benchmark, with the machine,
 * the state of the sources and every claim, whether it held or not.
 */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machineLine } from './machine.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const RESULTS = join(ROOT, 'bench/results');

const INTRODUCTION = [
  '# Benchmarks',
  '',
  'Measured by `npm run bench -- NAME`, which starts what it measures: our server as it is built, a bare `node:http` that repeats',
  'the same bytes, and, where a `bao` is found, OpenBao on integrated storage with the same durability. All take turns within one',
  'run, round by round, and the load comes from a process of its own that checks every answer. On a small machine server and load',
  'share the cores, so look at the ratios and at the CPU time of each answer before the rates: a server that is written in Go uses',
  'both cores of this one, ours uses one thread. Figures differ from run to run by a fifth; those of single rounds are in',
  '[bench/results](../bench/results). This page is written by `npm run bench -- report`.',
  '',
].join('\n');

/** Writes the page. `names` is the order of its sections. */
export async function writeReport(names) {
  const found = await readdir(RESULTS);
  const sections = [];
  for (const name of names) {
    if (!found.includes(`${name}.json`)) continue;
    sections.push(section(JSON.parse(await readFile(join(RESULTS, `${name}.json`), 'utf8'))));
  }
  await writeFile(join(ROOT, 'docs/benchmarks.md'), [INTRODUCTION, ...sections].join('\n'));
}

function section({ bench, title, at, machine, rounds, seconds, tables = [], claims }) {
  const said = claims.map(({ text, held }) => `- ${verdict(held)}: ${text}`);
  return `## ${bench}

${title}

${tables.map(markdown).join('\n')}
${said.length === 0 ? '' : `${said.join('\n')}\n\n`}${at.slice(0, 10)}, ${rounds === undefined ? '' : `${rounds} rounds of ${seconds} s; `}${machineLine(machine)}.
`;
}

const verdict = (held) => (held === undefined ? 'not measured' : held ? 'holds' : '**does not hold**');

function markdown({ head, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'));
  return `${[head, rule, ...rows].map(line).join('\n')}\n`;
}
