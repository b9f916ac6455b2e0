import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryBackend } from '../../storage/memory.ts';
import { AuditedHeaders } from './auditheaders.ts';

let audited: AuditedHeaders;
const headers = { 'user-agent': 'test/1', 'x-team': 'red', cookie: 'no' };

beforeEach(async () => {
  audited = await AuditedHeaders.open(new MemoryBackend());
});

describe('the headers that the trail keeps', () => {
  test('are those that were named, and of them those that are not hashed', async () => {
    expect(audited.of(headers)).toEqual({ values: { 'user-agent': ['test/1'] }, clear: ['user-agent'] });
    await audited.set('X-Team', true);
    expect(audited.of(headers)).toEqual({
      values: { 'user-agent': ['test/1'], 'x-team': ['red'] },
      clear: ['user-agent'],
    });
    expect(audited.of({ cookie: 'no' })).toBeUndefined();
  });

  test('are the very same for a sender that is known, until other ones are kept', async () => {
    const sender = {};
    const first = audited.of(headers, sender);
    expect(audited.of(headers, sender)).toBe(first);
    await audited.set('x-team', false);
    expect(audited.of(headers, sender)).toEqual({
      values: { 'user-agent': ['test/1'], 'x-team': ['red'] },
      clear: ['user-agent', 'x-team'],
    });
    await audited.delete('x-team');
    await audited.delete('user-agent');
    expect(audited.of(headers, sender)).toBeUndefined();
    expect(audited.of(headers, sender)).toBeUndefined();
    await audited.set('user-agent', true);
    expect(audited.of(headers, sender)).toEqual({ values: { 'user-agent': ['test/1'] }, clear: [] });
  });
});
