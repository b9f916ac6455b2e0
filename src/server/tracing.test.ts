import { expect, test } from 'vitest';
import { ManualClock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import { parsePath } from '../base/path.ts';
import { samplerOf } from '../base/trace/sampler.ts';
import { type EndedSpan, Tracer } from '../base/trace/tracer.ts';
import type { Verb } from '../plugin/plugin.ts';
import type { Answer, Request } from './core/request.ts';
import { tracedChanges } from './tracing.ts';

const request = (verb: Verb, traceparent?: string): Request => ({
  verb,
  path: parsePath('secret/data/hidden-name'),
  headers: traceparent === undefined ? {} : { traceparent },
  remote: { address: '', port: 0 },
  signal: new AbortController().signal,
});

async function ask(asked: Request, given: Answer | 'elsewhere'): Promise<EndedSpan[]> {
  const ended: EndedSpan[] = [];
  const tracer = new Tracer({
    clock: new ManualClock(),
    sampler: samplerOf('always_on', 1) ?? (() => false),
    ended: (span) => void ended.push(span),
  });
  const traced = tracedChanges<Answer | 'elsewhere'>(
    tracer,
    () => ({ path: 'secret/', type: 'kv' }),
    async () => given,
  );
  expect(await traced(asked)).toBe(given);
  return ended;
}

test.each(['read', 'list'] as const)('what only looks is not traced: %s', async (verb) => {
  expect(await ask(request(verb), { kind: 'done' })).toEqual([]);
});

test.each(['write', 'patch', 'delete'] as const)('what changes something is traced: %s', async (verb) => {
  const [span] = await ask(request(verb), { kind: 'done' });
  expect(span).toMatchObject({ name: `${verb} kv`, kind: 'server', failed: false, parent: undefined });
});

test('a span names the mount and nothing below it', async () => {
  const found = await ask(request('write'), { kind: 'done' });
  expect(found[0]?.attributes).toEqual({ 'holdfast.mount': 'secret/', 'holdfast.outcome': 'ok' });
  expect(JSON.stringify(found)).not.toContain('hidden-name');
});

test('a malformed traceparent begins a trace as if there were none', async () => {
  const [span] = await ask(request('write', '00-XYZ'), { kind: 'done' });
  expect(span?.parent).toBeUndefined();
});

test.each([
  ['a client that is refused is no error', failure('request.denied'), false],
  ['what is broken here is', failure('base.internal'), true],
])('%s', async (_, why, failed) => {
  const [span] = await ask(request('write'), { kind: 'failed', failure: why });
  expect(span).toMatchObject({
    failed,
    attributes: { 'error.type': why.code, 'holdfast.outcome': why.kind },
  });
});

test('what another node has to answer is not told as answered here', async () => {
  expect(await ask(request('write'), 'elsewhere')).toEqual([]);
});
