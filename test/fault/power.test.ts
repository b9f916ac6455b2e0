/**
 * The power goes. `kill -9` leaves what the kernel already has; a power cut leaves only what was synced. A traced run tells
 * every write and sync, and every answer that left; from that the data file is built as it would be after a cut at any
 * moment, and whatever was answered before that moment must be in it.
 */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HIGH_WATER_FILE } from '../../src/storage/highwater.ts';
import { eventually } from '../support/platform.ts';
import { type Folder, makeFolder } from './folder.ts';
import { keysIn, type Program, startDev } from './program.ts';
import { type Random, seeded } from './random.ts';
import { openStore, readObjects } from './store.ts';
import { cannotTrace, imageAt, isGone, readTrace, type Trace, tracer, tracerOf, written } from './trace.ts';
import { type Ask, allowed, type Connection, startWriters } from './writers.ts';

const CUTS = Number(process.env['HOLDFAST_CUTS'] ?? 50);
const WRITERS = 8;
const ANSWERS = 400;

const why = cannotTrace();
if (why !== undefined) console.log(`SKIPPED: loss of power is not tested, because ${why}`);

describe.skipIf(why !== undefined)('a cut of the power', () => {
  const random = seeded('power');
  let folder: Folder;
  let run: Run;

  beforeAll(async () => {
    folder = await makeFolder();
    run = await tracedRun(folder, random);
    const { trace } = run;
    const synced = trace.writes.filter((write) => write.synced).length;
    console.log(
      `power: ${trace.writes.length} writes of data files (${synced} on O_DSYNC), ${trace.syncs.length} syncs, ${run.asks.length} answers to the stream`,
    );
  }, 120_000);
  afterAll(() => folder?.remove());

  it('leaves a trace in which the stream was answered and the disk was written', () => {
    expect(run.asks.length).toBeGreaterThanOrEqual(ANSWERS);
    expect(run.trace.syncs.length).toBeGreaterThan(20);
    // The whole file, as the trace tells it, is the file that is there: nothing went past the tracer.
    for (const file of Object.values(run.files)) {
      const all = written(run.trace, file.path, Number.POSITIVE_INFINITY);
      expect(all.length).toBeGreaterThan(0);
      expect(rebuilt(all).equals(file.found), `${file.path} is what its writes make it`).toBe(true);
      expect(lastWrite(run.trace, file.mark, Number.POSITIVE_INFINITY), file.mark).toBeDefined();
    }
  });

  it(`at ${CUTS} moments leaves every acknowledged write in what had been synced`, async () => {
    let checked = 0;
    for (const cut of moments(run, random)) checked += (await losses(run, folder, cut, cut)).checked;
    console.log(`power: ${CUTS} cuts, ${checked} paths checked, none lost`);
    expect(checked).toBeGreaterThan(CUTS);
  });

  it(`at ${CUTS} moments leaves every acknowledged write though sectors of what was under way are torn`, async () => {
    let differing = 0;
    for (const cut of moments(run, random)) {
      const { torn } = await losses(run, folder, cut, cut, random);
      if (torn) differing++;
    }
    console.log(`power: ${CUTS} torn cuts, ${differing} of them with sectors of unsynced writes, none lost`);
    expect(differing).toBeGreaterThan(CUTS / 10);
  });

  it('would be found to lose writes, were the last sync a lie', async () => {
    let found = 0;
    const answers = run.asks.filter(() => true);
    for (let i = 0; i < 20; i++) {
      const cut = (answers[random.below(answers.length)]?.at ?? 0) + 1;
      const { missing } = await losses(run, folder, cut, lastSync(run, cut), undefined, true);
      if (missing.length > 0) found++;
    }
    console.log(
      `power: the control, in which the last sync before an answer did nothing, lost writes ${found} times of 20`,
    );
    expect(found).toBeGreaterThanOrEqual(10);
  });
});

interface Run {
  readonly trace: Trace;
  /** What the writers asked, each with the line at which its answer began to leave. */
  readonly asks: readonly { readonly at: number }[];
  readonly connections: readonly { readonly asks: readonly (Ask & { readonly at: number | undefined })[] }[];
  readonly files: Readonly<
    Record<'server' | 'kube', { readonly path: string; readonly found: Buffer; readonly mark: string }>
  >;
  readonly keys: { readonly unsealKey: string; readonly rootToken: string };
}

async function tracedRun(folder: Folder, random: Random): Promise<Run> {
  const output = join(folder.dir, 'trace');
  let program: Program | undefined;
  try {
    program = startDev(folder.dir, { under: tracer(output), env: { UV_USE_IO_URING: '0' } });
    const at = await program.address();
    await program.line(/Ctrl-C stops it/);
    const keys = await keysIn(folder.home);
    const stream = startWriters({ ...at, token: keys.rootToken }, { writers: WRITERS, round: 0, random });
    const acked = (): number =>
      stream.connections.reduce((sum, { asks }) => sum + asks.filter((ask) => ask.acked).length, 0);
    await eventually('the stream was answered', () => (acked() >= ANSWERS ? true : undefined), 60_000);
    const tracing = await tracerOf(program.child.pid ?? 0);
    await program.kill('SIGKILL');
    await stream.ended;
    await eventually('the tracer has written all', async () => ((await isGone(tracing)) ? true : undefined));
    const text = await readFile(output, 'utf8');
    const file = async (name: string) => {
      const home = join(folder.home, 'data', name);
      const path = join(home, 'store.mdb');
      return { path, found: await readFile(path), mark: join(home, HIGH_WATER_FILE) };
    };
    const files = { server: await file('server'), kube: await file('kube') };
    const kept = Object.values(files).flatMap(({ path, mark }) => [path, mark]);
    const trace = readTrace(text, (path) => kept.includes(path));
    const connections = stream.connections.map((connection) => withLines(trace, connection));
    const asks = connections.flatMap((connection) =>
      connection.asks.flatMap(({ at: line }) => (line === undefined ? [] : [{ at: line }])),
    );
    return { trace, connections, asks, files, keys };
  } finally {
    await program?.kill('SIGKILL');
  }
}

/** The n-th answer on a connection answers its n-th request. */
function withLines(trace: Trace, { port, asks }: Connection): Run['connections'][number] {
  const lines = trace.answers.filter((answer) => answer.port === port).map((answer) => answer.begun);
  const acked = asks.filter((ask) => ask.acked).length;
  if (lines.length < acked)
    throw new Error(`of ${acked} answers on port ${port} the trace shows ${lines.length}`);
  return { asks: asks.map((ask, i) => ({ ...ask, at: lines[i] })) };
}

/** Half of them anywhere in the stream, half at the very moment an answer leaves, which is the sharpest. */
function moments(run: Run, random: Random): number[] {
  const first = Math.min(...run.asks.map(({ at }) => at));
  return Array.from({ length: CUTS }, (_, i) =>
    i % 2 === 0
      ? first + random.below(run.trace.lines - first)
      : (run.asks[random.below(run.asks.length)]?.at ?? first) + 1,
  );
}

/** The line at which the last commit that ended before `cut` had not yet been made to last. */
function lastSync({ trace, files }: Run, cut: number): number {
  const ends = trace.writes.filter(
    ({ file, synced, done }) => file === files.server.path && synced && done !== undefined && done < cut,
  );
  return Math.max(...ends.map(({ begun }) => begun));
}

/**
 * Builds both data files as of `disk`, opens them, and asks for all that was answered before `cut`.
 * @throws AssertionError for the first loss, unless `tolerant`
 */
async function losses(
  run: Run,
  folder: Folder,
  cut: number,
  disk: number,
  torn?: Random,
  tolerant = false,
): Promise<{ checked: number; missing: string[]; torn: boolean }> {
  const data = join(folder.dir, `image-${images++}`);
  let differs = false;
  for (const [name, { path, mark }] of Object.entries(run.files)) {
    await mkdir(join(data, name), { recursive: true });
    const image = imageAt(run.trace, path, disk, torn);
    differs ||= torn !== undefined && !image.equals(imageAt(run.trace, path, disk));
    await writeFile(join(data, name, 'store.mdb'), image);
    // The worst case: the medium kept at once what nobody asked it to keep. Were it ahead of the store, the store would be refused.
    const noted = lastWrite(run.trace, mark, cut);
    if (noted !== undefined && !tolerant) await writeFile(join(data, name, HIGH_WATER_FILE), noted);
  }
  const missing: string[] = [];
  let checked = 0;
  const store = await openStore(data, run.keys);
  try {
    expect(store.verification, `the store after a cut at line ${cut}`).toMatchObject({
      damaged: [],
      set: 'matches',
    });
    for (const { asks } of run.connections) {
      for (const [path, values] of allowed(standing(asks, cut))) {
        const value = await store.read(path);
        checked++;
        if (!values.includes(value)) missing.push(path);
        if (!tolerant) expect(values, `${path} after a cut at line ${cut}`).toContain(value);
      }
    }
  } finally {
    await store.close();
  }
  expect((await readObjects(data)).length).toBeGreaterThan(0);
  await rm(data, { recursive: true, force: true });
  return { checked, missing, torn: differs };
}
let images = 0;

/** What a file of one line, which is always written whole, holds by then. */
const lastWrite = ({ writes }: Trace, path: string, before: number): Buffer | undefined =>
  writes.filter(({ file, begun }) => file === path && begun < before).at(-1)?.bytes;

/** What was answered before the cut, and the one request that may have been under way. */
function standing(asks: Run['connections'][number]['asks'], cut: number): Ask[] {
  const answered = asks.filter(({ at }) => at !== undefined && at < cut).length;
  return asks.slice(0, answered + 1).map(({ path, value }, i) => ({ path, value, acked: i < answered }));
}

function rebuilt(all: ReturnType<typeof written>): Buffer {
  const size = Math.max(...all.map(({ write }) => write.offset + write.bytes.length));
  const image = Buffer.alloc(size);
  for (const { write } of all) write.bytes.copy(image, write.offset);
  return image;
}
