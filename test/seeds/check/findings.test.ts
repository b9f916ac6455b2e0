/**
 * The seed documents, checked: exactly the mistakes that were read out of them by eye (findings.yaml), each with its class
 * and its line, and no other.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { locateKeys } from '../../../src/bin/dev/locate.ts';
import { providers } from '../../../src/bin/operator/providers.ts';
import { check } from '../../../src/platform/check/check.ts';
import { seedFiles } from './files.ts';
import { given } from './given.ts';

type Expected = readonly [line: number, cls: string, code: string, says: string];

const FOLDER = fileURLToPath(new URL('../../../../shared/seeds', import.meta.url));
const noSeeds = existsSync(FOLDER) ? undefined : `there are no documents in ${FOLDER}`;
if (noSeeds !== undefined) console.warn(`SKIPPED test/seeds/check: ${noSeeds}`);

const expected = parse(readFileSync(new URL('findings.yaml', import.meta.url), 'utf8')) as Readonly<
  Record<string, readonly Expected[]>
>;

describe.skipIf(noSeeds !== undefined)('the seed documents, checked', () => {
  const files = noSeeds === undefined ? readdirSync(FOLDER).filter((name) => name.endsWith('.txt')) : [];

  test('there are findings for each document, and a document for all findings', () => {
    expect(Object.keys(expected)).toEqual(files);
    expect(Object.keys(given)).toEqual(files);
  });

  test.each(files)('%s: every mistake is found, and nothing else', (file) => {
    const document = readFileSync(`${FOLDER}/${file}`, 'utf8').replaceAll('\r\n', '\n');
    const known = given[file];
    if (known === undefined) throw new Error(`nothing is known of ${file}`);
    const { findings } = check({
      ...seedFiles(document, known),
      namespace: 'default',
      providers: providers({ env: {} }),
      locate: locateKeys,
    });
    const told = findings
      .map(({ line, class: cls, failure, object = '' }) => ({
        at: [line, cls, failure.code] as const,
        text: `${object}: ${failure.message}`,
      }))
      .sort((a, b) => a.at[0] - b.at[0]);
    const wanted = [...(expected[file] ?? [])].sort((a, b) => a[0] - b[0]);
    const bare = (one: readonly unknown[]): string => one.slice(0, 3).join(' ');
    expect(told.map(({ at, text }) => `${bare(at)} ${text}`).sort()).toEqual(
      // The whole texts stand in the report of a failure; what is compared is the part that was written down.
      wanted
        .map((want) => {
          const match = told.find(({ at, text }) => bare(at) === bare(want) && text.includes(want[3]));
          return `${bare(want)} ${match?.text ?? `(nothing says ${want[3]})`}`;
        })
        .sort(),
    );
  });
});
