import { Worker } from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { Answer, Request } from '../core/request.ts';
import type { Server } from '../server.ts';
import { Crew } from './crew.ts';
import { Announcer } from './index.ts';

/** A thread of a few words: `seal` says what it does when it is told to forget its keys. */
const thread = (seal: string): string => `
const { workerData } = require('node:worker_threads');
const { work } = workerData;
const post = (message) => work.postMessage([message]);
work.on('message', (batch) => {
  for (const message of batch) {
    if (message.kind === 'open') {
      const key = new Uint8Array(message.rootKey);
      post({ kind: 'observed', all: [[['open', key.join(','), 'ok'], 0]] });
      key.fill(0);
    }
    if (message.kind === 'seal') { ${seal} }
    if (message.kind === 'close') post({ kind: 'closed' });
    if (message.kind === 'told') post({ kind: 'observed', all: [[['told', message.told.body, 'ok'], 0]] });
    if (message.kind === 'line-taken') post({ kind: 'observed', all: [[['line', String(message.taken), 'ok'], 0]] });
  }
});
post({ kind: 'listening' });
`;

async function crewOf(
  code: string,
  handle: (request: Request) => Promise<Answer> = async () => ({ kind: 'absent' }),
) {
  const workers: Worker[] = [];
  const observed: (readonly string[])[] = [];
  const lines: string[] = [];
  const crew = new Crew({
    threads: 1,
    announcer: new Announcer(),
    clock: systemClock,
    log: { ...silentLog, error: (text) => void lines.push(text) },
    make(joining) {
      const worker = new Worker(code, {
        eval: true,
        workerData: joining,
        transferList: [joining.work, joining.changes],
      });
      workers.push(worker);
      return worker;
    },
    append: async () => {
      throw new Error('the disk is full');
    },
  });
  const server = {
    handle,
    metrics: { requests: { observe: (labels: readonly string[]) => observed.push(labels) } },
  } as unknown as Server;
  await crew.start(server);
  return { crew, workers, observed, lines };
}

const key = () => Buffer.from([1, 2, 3]);

describe('threads that read', () => {
  test('are given the root key when the store opens, in memory that they wipe', async () => {
    const { crew, observed } = await crewOf(thread("post({ kind: 'sealed' })"));
    crew.open(key);
    await vi.waitFor(() => expect(observed).toContainEqual(['open', '1,2,3', 'ok']));
    await crew.seal();
    await crew.end();
  });

  test('hold up a seal until they said that they forgot the keys', async () => {
    const late =
      "setTimeout(() => { post({ kind: 'observed', all: [[['forgot', '', 'ok'], 0]] }); post({ kind: 'sealed' }); }, 100)";
    const { crew, observed } = await crewOf(thread(late));
    crew.open(key);
    await crew.seal();
    expect(observed).toContainEqual(['forgot', '', 'ok']);
    await crew.end();
  });

  test('are ended where they do not say so, and made anew without the keys', async () => {
    const { crew, workers, observed, lines } = await crewOf(thread(''));
    crew.open(key);
    await vi.waitFor(() => expect(observed).toHaveLength(1));
    await crew.seal();
    expect(lines).toContain('a thread did not say that it forgot the keys, and is ended');
    await vi.waitFor(() => expect(workers).toHaveLength(2), 3000);
    expect(observed).toHaveLength(1);
    await crew.end();
  }, 20_000);

  test('are made anew where they die, and are given the keys again', async () => {
    const { crew, workers, observed, lines } = await crewOf(thread("post({ kind: 'sealed' })"));
    crew.open(key);
    await vi.waitFor(() => expect(observed).toHaveLength(1));
    await workers[0]?.terminate();
    await vi.waitFor(() => expect(observed).toHaveLength(2), 5000);
    expect(workers).toHaveLength(2);
    expect(lines).toContain('a thread ended, and is made anew');
    await crew.close();
    await crew.end();
  });

  test('take those who asked through them along when they die: their requests are told that nobody waits', async () => {
    let signal: AbortSignal | undefined;
    const ask = `post({ kind: 'ask', id: 1, asked: { verb: 'read', path: { text: 'a', segments: ['a'], folder: false },
      headers: {}, remote: { address: '', port: 0 }, streamed: false } });`;
    const { crew, workers } = await crewOf(thread("post({ kind: 'sealed' })") + ask, (request) => {
      signal = request.signal;
      return new Promise(() => {});
    });
    await vi.waitFor(() => expect(signal).toBeDefined());
    expect(signal?.aborted).toBe(false);
    await workers[0]?.terminate();
    await vi.waitFor(() => expect(signal?.aborted).toBe(true));
    await crew.end();
  });

  test('hear the answer of the thread that writes, and that no device took a line', async () => {
    const ask = `post({ kind: 'ask', id: 1, asked: { verb: 'read', path: { text: 'a', segments: ['a'], folder: false },
      headers: {}, remote: { address: '', port: 0 }, streamed: false } });
      post({ kind: 'lines', id: 2, lines: { counts: { request: 1, response: 0 }, texts: new Map([['file/', '{}\\n']]) } });`;
    const { crew, observed } = await crewOf(thread("post({ kind: 'sealed' })") + ask);
    await vi.waitFor(() => {
      expect(observed).toContainEqual(['told', '{"errors":[]}', 'ok']);
      expect(observed).toContainEqual(['line', 'false', 'ok']);
    });
    await crew.end();
  });
});
