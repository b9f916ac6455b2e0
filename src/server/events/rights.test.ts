import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { ServerEvent } from './events.ts';
import { RIGHTS_CHANGED, Rights } from './rights.ts';

function start(head: () => Promise<number> = async () => 7) {
  const clock = new ManualClock();
  const told: ServerEvent[] = [];
  const events = { publish: (event: ServerEvent) => void told.push(event) };
  const rights = new Rights({ clock, log: silentLog, events, head, accessor: () => 'system_1' });
  /** Lets so much time go by, and what it caused end. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { rights, told, pass };
}

test('a thousand changes in a moment are told once, and the next one again', async () => {
  const { rights, told, pass } = start();
  for (let i = 0; i < 1000; i++) rights.changed();
  await pass(199);
  rights.changed();
  expect(told).toEqual([]);
  await pass(1);
  expect(told).toHaveLength(1);
  await pass(1000);
  expect(told).toHaveLength(1);
  rights.changed();
  await pass(200);
  expect(told).toHaveLength(2);
});

test('changes that do not end are told all the same, every 200 ms', async () => {
  const { rights, told, pass } = start();
  for (let i = 0; i < 100; i++) {
    rights.changed();
    await pass(10);
  }
  expect(told).toHaveLength(5);
});

test('the event says that rights changed and up to which revision, and names nobody', async () => {
  const { rights, told, pass } = start();
  rights.changed();
  await pass(200);
  expect(told).toEqual([
    {
      revision: 7,
      type: RIGHTS_CHANGED,
      path: 'sys/policies/acl',
      dataPath: 'sys/policies/acl',
      operation: 'rights-changed',
      modified: true,
      plugin: { mountPath: 'sys/', mountAccessor: 'system_1', plugin: 'system' },
      metadata: {},
      at: expect.any(Number),
    },
  ]);
});

test('a server that closed tells nothing, whenever it closed', async () => {
  const early = start();
  early.rights.changed();
  early.rights.close();
  early.rights.changed();
  await early.pass(1000);
  expect(early.told).toEqual([]);
  const late = start(async () => {
    late.rights.close();
    return 8;
  });
  late.rights.changed();
  await late.pass(200);
  expect(late.told).toEqual([]);
});

test('a store that does not say how far it is costs that word, and no later one', async () => {
  let away = true;
  const { rights, told, pass } = start(async () => {
    if (away) throw failure('storage.fenced', { epoch: 1 });
    return 9;
  });
  rights.changed();
  await pass(200);
  away = false;
  rights.changed();
  await pass(200);
  expect(told.map(({ revision }) => revision)).toEqual([9]);
});
