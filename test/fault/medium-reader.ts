/**
 * What a damaged file gives: a program of its own, because the engine may take it along. It opens the store, unseals it, and
 * reads every entry of a list and looks at all of them; one line of JSON tells what it found.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isFailure } from '../../src/base/errors.ts';
import { beat } from '../../src/bin/offline/watched.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';

/** What each read gave: the value as written, an error, another value, or nothing. */
export interface Report {
  readonly right: number;
  readonly failed: number;
  /** Keys, and the sums of what was read in place of what was written last. */
  readonly wrong: readonly (readonly [string, string])[];
  readonly absent: readonly string[];
  /** "whole", "damaged" or the code of what stopped it. */
  readonly verdict: string;
}

beat();
const [folder = '', list = ''] = process.argv.slice(2);
const { rootKey, sums } = JSON.parse(readFileSync(list, 'utf8')) as {
  rootKey: string;
  sums: Record<string, string>;
};
const codeOf = (error: unknown): string => (isFailure(error) ? error.code : 'an error of the engine');

async function main(): Promise<Report> {
  const report = {
    right: 0,
    failed: 0,
    wrong: [] as [string, string][],
    absent: [] as string[],
    verdict: '',
  };
  let barrier: Barrier;
  try {
    barrier = new Barrier(await openLmdb(folder));
    await barrier.unseal(Buffer.from(rootKey, 'base64'));
  } catch (error) {
    return { ...report, failed: Object.keys(sums).length, verdict: codeOf(error) };
  }
  for (const [key, sum] of Object.entries(sums)) {
    try {
      const entry = await barrier.view('').get(key);
      if (entry === undefined) report.absent.push(key);
      else {
        const found = createHash('sha256').update(entry.value).digest('hex');
        if (found === sum) report.right++;
        else report.wrong.push([key, found]);
      }
    } catch {
      report.failed++;
    }
  }
  try {
    const found = await barrier.verify(new AbortController().signal);
    report.verdict = found.damaged.length === 0 && found.set === 'matches' ? 'whole' : 'damaged';
  } catch (error) {
    report.verdict = codeOf(error);
  }
  return report;
}

process.stdout.write(`${JSON.stringify(await main())}\n`);
process.exit(0);
