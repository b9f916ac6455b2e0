/** audit verify over files as they lie on a disk after months: rotated, packed, cut, and tampered with. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Anchor, FIRST, link } from '../base/chain.ts';
import { runCli } from './program.ts';
import type { Terminal } from './terminal.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Lines of one writer, a second apart. */
function trail(count: number): string[] {
  let head: Anchor = { writer: 'w1', seq: 0, sum: FIRST };
  return Array.from({ length: count }, (_, i) => {
    const time = new Date(Date.UTC(2026, 0, 1, 0, 0, i)).toISOString();
    const body = { time, type: 'request', request: { path: `secret/\ufffd/${i}` } };
    const linked = link(head, [JSON.stringify(body)]);
    head = linked.head;
    return linked.lines[0] ?? '';
  });
}

const put = (name: string, bytes: string | Buffer): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

async function verify(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = {
    env: { VAULT_ADDR: 'http://127.0.0.1:1' },
    out: (said: string) => void out.push(said),
    err: (said: string) => void err.push(said),
    tokenFile: { read: async () => undefined, write: async () => {} },
  } as unknown as Terminal;
  const code = await runCli(['audit', 'verify', '-format=json', ...args], terminal, '0.0.0');
  // biome-ignore lint/suspicious/noExplicitAny: a wrong shape fails the test that reads it
  const verdict: any = out.length === 0 ? undefined : JSON.parse(out.join(''));
  return { code, verdict, err: err.join('') };
}

describe('a trail in several files', () => {
  it('is read in the order of its lines, whatever order a shell names them in, and packed ones as well', async () => {
    const lines = trail(9);
    const newest = put('audit.log', text(lines.slice(6)));
    const middle = put('audit.log.1', text(lines.slice(3, 6)));
    const oldest = put('audit.log.2.gz', gzipSync(text(lines.slice(0, 3))));
    const { code, verdict } = await verify(newest, middle, oldest);
    expect(code).toBe(0);
    expect(verdict).toMatchObject({ whole: true, lines: 9, writers: 1, files: [oldest, middle, newest] });
  });
  it('names file and line of what is missing and of what was moved', async () => {
    const lines = trail(6);
    const first = put('a', text(lines.slice(0, 3)));
    const second = put('b', text([lines[4] ?? '', lines[5] ?? '']));
    const { code, verdict } = await verify(first, second);
    expect(code).toBe(2);
    expect(verdict.findings).toMatchObject([
      {
        kind: 'missing',
        file: second,
        line: 1,
        from: 4,
        to: 4,
        message: `line number 4 of writer w1 is missing before line 1 of ${second}`,
      },
    ]);
    const moved = put('c', text([lines[0] ?? '', lines[2] ?? '', lines[1] ?? '']));
    expect((await verify(moved)).verdict.findings.map(({ kind }: { kind: string }) => kind)).toEqual([
      'missing',
      'repeated',
    ]);
  });
  it('whose older files were put away is judged from where it begins, when that is said', async () => {
    const newest = put('audit.log', text(trail(9).slice(6)));
    expect((await verify(newest)).code).toBe(2);
    expect((await verify('-partial', newest)).code).toBe(0);
  });
});

describe('one byte', () => {
  it('that was changed is found wherever it stands in a line, in text or in what is no text', async () => {
    const whole = Buffer.from(text(trail(3)));
    const second = whole.indexOf('\n') + 1;
    const third = whole.indexOf('\n', second) + 1;
    for (let at = second; at < third - 1; at += 7) {
      const changed = Buffer.from(whole);
      // A byte that is UTF-8 nowhere: read carelessly it would become the very sign that stands in these lines.
      changed[at] = changed[at] === 0xbf ? 0xff : (changed[at] ?? 0) ^ 0x01;
      const { code, verdict } = await verify(put('x', changed));
      expect({ at, code, line: verdict.findings[0]?.line }).toEqual({ at, code: 2, line: 2 });
    }
    const sign = whole.indexOf(Buffer.from('\ufffd'), second);
    const invalid = Buffer.concat([whole.subarray(0, sign), Buffer.from([0xff]), whole.subarray(sign + 3)]);
    expect((await verify(put('y', invalid))).verdict.findings).toMatchObject([{ kind: 'changed', line: 2 }]);
  });
});

describe('a tail', () => {
  it('that a crash cut is told, and is no reason for an alarm', async () => {
    const lines = trail(3);
    const { code, verdict } = await verify(put('x', text(lines.slice(0, 2)) + (lines[2] ?? '').slice(0, 40)));
    expect(code).toBe(0);
    expect(verdict).toMatchObject({ whole: true, findings: [{ kind: 'torn', line: 3 }] });
  });
});

describe('what cannot be judged', () => {
  it.each([
    ['a file that is not there', () => ['/nowhere/audit.log'], 'cannot read the file /nowhere/audit.log'],
    ['no file at all', () => [], 'name the files of the trail'],
    [
      'a packed file that was cut',
      () => [put('x.gz', gzipSync(text(trail(50))).subarray(0, 200))],
      'cannot read the file',
    ],
    ['a server that does not answer', () => ['-device=file', put('x', '')], '127.0.0.1:1'],
  ])('is neither whole nor tampered with: %s', async (_, args, said) => {
    const { code, err } = await verify(...args());
    expect(code).toBe(1);
    expect(err).toContain(said);
  });
});

it('what a thousand findings tell is told, and the rest is counted', async () => {
  const { code, verdict } = await verify(put('x', `${trail(1).join('')}\n`.repeat(3001)));
  expect(code).toBe(2);
  expect([verdict.findings.length, verdict.untold]).toEqual([1000, 2000]);
});
