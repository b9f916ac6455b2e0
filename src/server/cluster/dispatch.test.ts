/** The gate: what a leader may tell, and what it may not, when its lease lapses while it answers. */

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { parsePath } from '../../base/path.ts';
import type { Leadership } from '../../storage/leadership.ts';
import type { Answer, Request } from '../core/request.ts';
import { Generation } from '../follow/generation.ts';
import { dispatcher } from './dispatch.ts';
import type { ClusterNode, Leading } from './node.ts';
import { PACE, Tenure } from './tenure.ts';

const done: Answer = { kind: 'done' };
const ask = (verb: Request['verb']): Request => ({
  verb,
  path: parsePath('secret/data/a'),
  headers: {},
  remote: { address: '', port: 0 },
  signal: new AbortController().signal,
});
const codeOf = (answer: Answer): string => (answer.kind === 'failed' ? answer.failure.code : answer.kind);

/** A leader whose lease and whose work are in the hands of the test. */
async function leader() {
  let holds = true;
  let renewed = async (): Promise<boolean> => true;
  const leadership: Leadership = {
    campaign: async () => 1,
    renew: () => renewed(),
    resign: async () => {},
    leader: async () => undefined,
    holds: () => holds,
  };
  const clock = new ManualClock();
  const pace = { ...PACE, renewMs: 10 };
  const tenure = await Tenure.win({ id: 'a', address: '' }, { leadership, clock, log: silentLog, pace });
  if (tenure === undefined) throw new Error('nobody else leads');
  let work: (request: Request) => Promise<Answer> = async () => done;
  let asked = 0;
  const services: Leading = {
    placeOf: () => 'leader',
    answer(request) {
      asked++;
      return work(request);
    },
    forget: () => {},
    begin: () => {},
    close: async () => {},
  };
  const node = {
    id: 'a',
    get role() {
      return tenure.ended.aborted ? 'between' : 'leading';
    },
    tenure,
    leading: new Generation(services),
    services,
    follower: undefined,
    forwarder: undefined,
    leader: undefined,
    get leads() {
      return tenure.holds();
    },
    changed: async (ms: number) => clock.advance(ms),
  } as unknown as ClusterNode<Leading>;
  const { handle, lead } = dispatcher(node, {
    clock,
    patienceMs: 1000,
    answerSelf: async () => done,
    placeWithout: () => undefined,
    repeatable: ({ verb }) => verb === 'read',
  });
  return {
    handle,
    lead,
    tenure,
    clock,
    asked: () => asked,
    does: (next: typeof work) => {
      work = next;
    },
    lease: (stands: boolean) => {
      holds = stands;
    },
    renews: (next: typeof renewed) => {
      renewed = next;
    },
  };
}

describe('a leader whose lease lapses while it answers', () => {
  test('does not tell what it read: somebody may have changed it since', async () => {
    const { handle, does, lease, clock, asked, tenure } = await leader();
    does(async () => {
      lease(false);
      return done;
    });
    const answer = handle(ask('read'));
    await expect.poll(asked).toBe(1);
    clock.advance(1000);
    expect(codeOf(await answer)).toBe('cluster.no_leader');
    tenure.end();
  });

  test('says of a write that nobody knows, and does not do it again', async () => {
    const { handle, does, lease, clock, asked, tenure } = await leader();
    does(async () => {
      lease(false);
      return done;
    });
    const answer = handle(ask('write'));
    await expect.poll(asked).toBe(1);
    clock.advance(1000);
    expect(codeOf(await answer)).toBe('cluster.unknown');
    expect(asked()).toBe(1);
    tenure.end();
  });

  test('tells it after all where the lease stands again and nobody else led: late is not lost', async () => {
    const { handle, does, lease, asked, tenure } = await leader();
    does(async () => {
      lease(false);
      return done;
    });
    const answer = handle(ask('write'));
    await expect.poll(asked).toBe(1);
    lease(true);
    expect(codeOf(await answer)).toBe('done');
    expect(asked()).toBe(1);
    tenure.end();
  });

  test('lets nobody wait for work that hangs', async () => {
    const { handle, does, lease, asked, tenure } = await leader();
    does(() => new Promise(() => {}));
    const answer = handle(ask('write'));
    await expect.poll(asked).toBe(1);
    lease(false);
    expect(codeOf(await answer)).toBe('cluster.unknown');
    tenure.end();
  });

  test('tells nothing of what it still does once another leads', async () => {
    const { handle, does, renews, asked, tenure } = await leader();
    let finish: (answer: Answer) => void = () => {};
    does(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    const answer = handle(ask('write'));
    await expect.poll(asked).toBe(1);
    renews(async () => false);
    await expect.poll(() => tenure.ended.aborted).toBe(true);
    finish(done);
    expect(codeOf(await answer)).toBe('cluster.unknown');
  });

  test('tells a node that handed a read on to look elsewhere, and hands on no answer to a write', async () => {
    const { lead, does, lease, clock, asked, tenure } = await leader();
    does(async () => {
      lease(false);
      return done;
    });
    const read = lead(ask('read'));
    await expect.poll(asked).toBe(1);
    clock.advance(1000);
    expect(await read).toBe('elsewhere');
    lease(true);
    const write = lead(ask('write'));
    await expect.poll(asked).toBe(2);
    clock.advance(1000);
    expect(codeOf((await write) as Answer)).toBe('cluster.unknown');
    expect(await lead(ask('read'))).toBe('elsewhere');
    expect(asked()).toBe(2);
    tenure.end();
  });
});

test('an answer that failed is told as it is while the lease stands', async () => {
  const { handle, does, tenure } = await leader();
  does(async () => ({ kind: 'failed', failure: failure('request.denied') }));
  expect(codeOf(await handle(ask('write')))).toBe('request.denied');
  tenure.end();
});
