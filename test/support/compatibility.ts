/**
 * What public clients were asked to do in the tests, and did: the material of docs/compatibility.md. A call matches when the
 * client took at least one answer to it for a success and every test that made it passed; what is not tried has a reason.
 */

import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';

/** One client's run, as it stands in `$HOLDFAST_COMPAT_OUT/CLIENT.json`. */
export interface ClientRun {
  readonly client: string;
  readonly version: string;
  /** How many calls it has; absent for a program, whose uses nobody could count. */
  readonly offers?: number;
  readonly tried: readonly string[];
  readonly matching: readonly string[];
  /** What is not tried, with the reason. */
  readonly gaps: Readonly<Record<string, string>>;
}

export interface Subject {
  readonly client: string;
  readonly version: string;
  /** The names of all that it can be asked; absent for a program. */
  readonly calls?: readonly string[];
  readonly gaps?: Readonly<Record<string, string>>;
}

/** What nobody accounts for: all three have to be empty. */
export interface Unaccounted {
  /** Neither tried nor a gap. */
  readonly untold: readonly string[];
  /** Told as a gap, and tried all the same. */
  readonly both: readonly string[];
  /** A gap in what the client does not have, so it went away with another version. */
  readonly unknown: readonly string[];
}

export const ALL_ACCOUNTED: Unaccounted = { untold: [], both: [], unknown: [] };

export interface Recording {
  /** The same client; what is called by one of the known names is noted. */
  watch<T extends object>(client: T): T;
  /** Notes a use of a program that did what it should. */
  note(call: string): void;
  /** How it stands after the tests so far. */
  unaccounted(): Unaccounted;
}

/** Records the tests of the suite that this is called in, and writes the run down behind the last one. */
export function recordClient(subject: Subject): Recording {
  const known = new Set(subject.calls);
  const gaps = subject.gaps ?? {};
  const tried = new Set<string>();
  const answered = new Set<string>();
  const failed = new Set<string>();
  // What is called between the tests is asserted by none of them, so it does not count.
  let during: Set<string> | undefined;
  beforeEach(() => {
    during = new Set();
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') for (const call of during ?? []) failed.add(call);
    during = undefined;
  });
  const ask = (call: string): void => {
    if (during === undefined) return;
    during.add(call);
    tried.add(call);
  };
  const answer = (call: string): void => {
    if (tried.has(call)) answered.add(call);
  };
  afterAll(() =>
    writeRun({
      client: subject.client,
      version: subject.version,
      ...(subject.calls === undefined ? {} : { offers: known.size }),
      tried: [...tried].sort(),
      matching: [...answered].filter((call) => !failed.has(call)).sort(),
      gaps,
    }),
  );
  return {
    note(call) {
      ask(call);
      answer(call);
    },
    watch: (client) => watched(client, known, ask, answer),
    unaccounted: () => ({
      untold: [...known].filter((call) => !tried.has(call) && gaps[call] === undefined).sort(),
      both: Object.keys(gaps).filter((call) => tried.has(call)),
      unknown: subject.calls === undefined ? [] : Object.keys(gaps).filter((call) => !known.has(call)),
    }),
  };
}

function watched<T extends object>(
  client: T,
  known: ReadonlySet<string>,
  ask: (call: string) => void,
  answer: (call: string) => void,
): T {
  return new Proxy(client, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || typeof name !== 'string' || !known.has(name)) return member;
      return (...args: unknown[]) => {
        ask(name);
        // As itself, so that what one call does by others of its own is noted as well.
        const given: unknown = member.apply(receiver, args);
        if (given instanceof Promise) given.then(() => answer(name)).catch(() => {});
        else answer(name);
        return given;
      };
    },
  });
}

/** Writes a run where the page is made from; nowhere when nobody makes one. */
export async function writeRun(run: ClientRun): Promise<void> {
  const folder = process.env['HOLDFAST_COMPAT_OUT'];
  if (folder === undefined || folder === '') return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${run.client}.json`), `${JSON.stringify(run, undefined, 2)}\n`);
}

/** The same reason for many names. */
export const because = (reason: string, ...calls: readonly string[]): Record<string, string> =>
  Object.fromEntries(calls.map((call) => [call, reason]));

/** The version of an installed npm package. */
export const versionOf = (name: string): string =>
  JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8'))
    .version;
