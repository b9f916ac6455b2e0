import { describe, expect, test } from 'vitest';
import { courseOf, type Facts, fateOf } from './decide.ts';

describe('a request', () => {
  test.each<[string, Facts, string]>([
    [
      'of the node itself is answered while it leads',
      { role: 'leading', holds: true, place: 'node' },
      'answer',
    ],
    [
      'of the node itself is answered though its lease lapsed',
      { role: 'leading', holds: false, place: 'node' },
      'answer',
    ],
    [
      'of the node itself is answered while it changes',
      { role: 'between', holds: false, place: 'node' },
      'answer',
    ],
    [
      "is the leader's to answer while its lease stands",
      { role: 'leading', holds: true, place: 'leader' },
      'answer',
    ],
    ["is nobody's to answer once it does not", { role: 'leading', holds: false, place: 'leader' }, 'wait'],
    [
      'that a follower could answer waits as well: a leader follows nobody',
      { role: 'leading', holds: false, place: 'follower' },
      'wait',
    ],
    [
      'that a follower may answer is answered at the read index',
      { role: 'following', holds: false, place: 'follower' },
      'follow',
    ],
    ['of the leader is handed on', { role: 'following', holds: false, place: 'leader' }, 'forward'],
    [
      'is handed on by who cannot tell whose it is',
      { role: 'following', holds: false, place: undefined },
      'forward',
    ],
    [
      'waits for a node that becomes one or the other',
      { role: 'between', holds: true, place: 'leader' },
      'wait',
    ],
    [
      'never goes by a lease of a role that is over',
      { role: 'between', holds: true, place: 'follower' },
      'wait',
    ],
  ])('%s', (_name, facts, course) => {
    expect(courseOf(facts)).toBe(course);
  });
});

describe('an answer of the leader', () => {
  test.each([
    ['leaves while the lease stands', { held: true, repeatable: false }, 'told'],
    [
      'that is too late is asked for anew where that changes nothing',
      { held: false, repeatable: true },
      'again',
    ],
    [
      'that is too late is told as unknown where it may have changed something',
      { held: false, repeatable: false },
      'unknown',
    ],
  ])('%s', (_name, facts, fate) => {
    expect(fateOf(facts)).toBe(fate);
  });
});
