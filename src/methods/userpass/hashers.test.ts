import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compareSync, hashSync } from 'bcryptjs';
import { expect, test } from 'vitest';
import { Hashers } from './hashers.ts';

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('threads hash and compare as bcrypt does, and tell right from wrong', async () => {
  const hashers = new Hashers({ threads: 2 });
  const made = await hashers.hash('pässword', 4);
  expect(compareSync('pässword', made)).toBe(true);
  const stored = hashSync('right', 4);
  const given = ['right', 'wrong', '', 'Right', 'right'];
  expect(await Promise.all(given.map((password) => hashers.compare(password, stored)))).toEqual([
    ...[true, false, false, false, true],
  ]);
  expect(hashers.threads).toBe(2);
});

test('a thread without work is ended, and another is started for the next password', async () => {
  const hashers = new Hashers({ threads: 1, idleMs: 1 });
  const stored = hashSync('right', 4);
  for (let i = 0; i < 3; i++) {
    expect(await hashers.compare('right', stored)).toBe(true);
    await until(() => hashers.threads === 0);
  }
});

test('who comes when too many wait is turned away at once, and all others are answered', async () => {
  const hashers = new Hashers({ threads: 1, waiting: 3 });
  const stored = hashSync('right', 4);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, () => hashers.compare('right', stored)),
  );
  // One is at work, three wait.
  expect(outcomes.map(({ status }) => status)).toEqual([
    ...Array.from({ length: 4 }, () => 'fulfilled'),
    ...Array.from({ length: 6 }, () => 'rejected'),
  ]);
  expect(outcomes[9]).toMatchObject({ reason: { code: 'login.busy' } });
});

test('a thread that dies fails the job in its hands and no other, and says nothing of the password', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-hashers-'));
  try {
    const file = join(folder, 'mortal.mjs');
    writeFileSync(
      file,
      `import { parentPort } from 'node:worker_threads';
       parentPort.on('message', ({ password, against }) => {
         if (password === 'canary') throw new Error(password);
         parentPort.postMessage(password === against);
       });`,
    );
    const hashers = new Hashers({ file: pathToFileURL(file), threads: 1 });
    const [first, lost, next] = await Promise.allSettled([
      hashers.compare('a', 'a'),
      hashers.compare('canary', 'a'),
      hashers.compare('b', 'b'),
    ]);
    expect([first, next]).toMatchObject([{ value: true }, { value: true }]);
    expect(lost).toMatchObject({ reason: { code: 'base.internal' } });
    expect(JSON.stringify(lost)).not.toContain('canary');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a thread that cannot be started fails its job, and does not end the process', async () => {
  const hashers = new Hashers({ file: new URL('file:///no/such/hasher.mjs'), threads: 1 });
  await expect(hashers.compare('a', 'a')).rejects.toMatchObject({ code: 'base.internal' });
});
