import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { openByItself } from './autounseal.ts';
import { keepRenewed, type Lease } from './renewal.ts';

const HOUR = 3_600_000;
/** Lets what was begun by a timer come to its next wait. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function listening(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const take = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const log: Log = {
    debug: () => {},
    info: take('info'),
    warn: take('warn'),
    error: take('error'),
    with: () => log,
  };
  return { log, lines };
}

describe('the token of a seal', () => {
  const run = async (answers: readonly (Lease | Error)[]) => {
    const clock = new ManualClock();
    const { log, lines } = listening();
    let asked = 0;
    const renew = async (): Promise<Lease> => {
      const answer = answers[Math.min(asked++, answers.length - 1)];
      if (answer === undefined || answer instanceof Error) throw answer;
      return answer;
    };
    const stop = keepRenewed({ renew, clock, log });
    await settled();
    const advance = async (ms: number): Promise<number> => {
      clock.advance(ms);
      await settled();
      return asked;
    };
    return { advance, stop, lines };
  };

  test('is renewed at once, and again when two thirds of its time are over, until it is stopped', async () => {
    const { advance, stop } = await run([{ ms: 3 * HOUR, renewable: true }]);
    expect(await advance(2 * HOUR - 1)).toBe(1);
    expect(await advance(1)).toBe(2);
    expect(await advance(2 * HOUR)).toBe(3);
    stop();
    expect(await advance(100 * HOUR)).toBe(3);
  });

  test('that ends with what it has, or never ends, is left alone', async () => {
    for (const lease of [
      { ms: HOUR, renewable: false },
      { ms: 0, renewable: true },
    ])
      expect(await (await run([lease])).advance(100 * HOUR)).toBe(1);
  });

  test('that is not to be renewed is told once, and left alone', async () => {
    const { advance, lines } = await run([failure('seal.refused', { seal: 'transit', reason: 'HTTP 403' })]);
    expect(await advance(100 * HOUR)).toBe(1);
    expect(lines).toEqual(['warn: the token of the seal cannot be renewed, and is left as it is']);
  });

  test('is tried again while nobody answers, with one line in the log, and then renewed in time', async () => {
    const away = failure('seal.unreachable', { seal: 'transit', reason: 'ECONNREFUSED' });
    const { advance, lines } = await run([away, away, { ms: 3 * HOUR, renewable: true }]);
    expect(await advance(1000)).toBe(2);
    expect(await advance(2000)).toBe(3);
    expect(await advance(2 * HOUR - 1)).toBe(3);
    expect(await advance(1)).toBe(4);
    expect(lines).toHaveLength(1);
  });
});

describe('a server that opens by itself', () => {
  const run = async (outcomes: readonly ('open' | 'uninitialized' | 'people' | Error)[]) => {
    const clock = new ManualClock();
    const { log, lines } = listening();
    let asked = 0;
    const open = async () => {
      const outcome = outcomes[Math.min(asked++, outcomes.length - 1)];
      if (outcome === undefined || outcome instanceof Error) throw outcome;
      return outcome;
    };
    const waiting = openByItself({ seal: 'transit', open, clock, log });
    await settled();
    const advance = async (ms: number): Promise<number> => {
      clock.advance(ms);
      await settled();
      return asked;
    };
    return { waiting, advance, lines };
  };
  const away = failure('seal.unreachable', { seal: 'transit', reason: '10.9.8.7:8200' });
  const gone = failure('seal.lost_key', { seal: 'transit', reason: 'HTTP 400 encryption key not found' });

  test.each(['open', 'uninitialized', 'people'] as const)(
    'asks once where the answer is "%s"',
    async (outcome) => {
      const { waiting, advance } = await run([outcome]);
      expect(await advance(HOUR)).toBe(1);
      expect(waiting.problem()).toBeUndefined();
    },
  );

  test('asks again until it is open; each reason is logged once, and told without addresses', async () => {
    const { waiting, advance, lines } = await run([away, away, gone, 'open']);
    expect(waiting.problem()).toMatch(/does not answer/);
    expect(waiting.problem()).not.toContain('10.9.8.7');
    await advance(1000);
    expect(await advance(2000)).toBe(3);
    expect(waiting.problem()).toMatch(/does not open this store/);
    expect(await advance(4000)).toBe(4);
    expect(waiting.problem()).toBeUndefined();
    expect(await advance(HOUR)).toBe(4);
    expect(lines).toEqual([
      'error: the server is still sealed, and tries again',
      'error: the server is still sealed, and tries again',
      'info: unsealed',
    ]);
  });

  test('asks no more once it is stopped', async () => {
    const { waiting, advance } = await run([away]);
    waiting.stop();
    expect(await advance(HOUR)).toBe(1);
  });
});
