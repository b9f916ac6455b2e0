import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Anchor, FIRST, link, verifyChain } from './chain.ts';

describe('a chain of lines', () => {
  const trail = (count: number, writer = 'w1'): { lines: string[]; anchor: Anchor } => {
    let head: Anchor = { writer, seq: 0, sum: FIRST };
    const out: string[] = [];
    for (let i = 0; i < count; i++) {
      const linked = link(head, JSON.stringify({ time: 't', n: i, s: 'é"\\' }));
      head = linked.head;
      out.push(linked.line);
    }
    return { lines: out, anchor: head };
  };
  it('accepts what was written', () => {
    const { lines: all, anchor } = trail(5);
    expect(verifyChain(all, { anchors: [anchor] })).toEqual([]);
    expect(JSON.parse(all[2] ?? '')).toMatchObject({ n: 2, chain: { writer: 'w1', seq: 3 } });
  });
  it('finds any one changed character, and any one deleted line', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.nat(),
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 1 }),
        (count, which, where, put) => {
          const { lines: all, anchor } = trail(count);
          const at = which % count;
          const line = all[at] ?? '';
          const pos = where % line.length;
          const without = all.filter((_, i) => i !== at);
          expect(verifyChain(without, { anchors: [anchor] })).toMatchObject([
            { kind: 'missing', from: at + 1, to: at + 1 },
          ]);
          if (line[pos] === put) return;
          const changed = [...all];
          changed[at] = line.slice(0, pos) + put + line.slice(pos + 1);
          expect(verifyChain(changed, { anchors: [anchor] }).length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 2000 },
    );
  });
  it('tells a torn tail from a missing one', () => {
    const { lines: all, anchor } = trail(5);
    const before = trail(4).anchor;
    const torn = [...all.slice(0, 4), (all[4] ?? '').slice(0, 30)];
    expect(verifyChain(torn, { anchors: [before] })).toMatchObject([{ kind: 'torn', line: 5 }]);
    // The same text, but the line was known to be whole.
    expect(verifyChain(torn, { anchors: [anchor] }).map((f) => f.kind)).toEqual(['changed', 'missing']);
    expect(verifyChain(all.slice(0, 3), { anchors: [anchor] })).toMatchObject([
      { kind: 'missing', from: 4, to: 5 },
    ]);
    expect(verifyChain([], { anchors: [anchor] })).toMatchObject([{ kind: 'missing', from: 1, to: 5 }]);
  });
  it('finds a trail that was written anew by someone who knows how', () => {
    const { anchor } = trail(5);
    let head: Anchor = { writer: 'w1', seq: 0, sum: FIRST };
    const forged = Array.from({ length: 5 }, (_, i) => {
      const linked = link(head, JSON.stringify({ time: 't', n: i + 100 }));
      head = linked.head;
      return linked.line;
    });
    expect(verifyChain(forged)).toEqual([]);
    expect(verifyChain(forged, { anchors: [anchor] })).toMatchObject([{ kind: 'changed' }]);
  });
  it('names lines that are there twice or in another order', () => {
    const { lines: all, anchor } = trail(3);
    const [a = '', b = '', c = ''] = all;
    expect(verifyChain([a, b, b, c], { anchors: [anchor] }).map((f) => f.kind)).toEqual(['repeated']);
    expect(verifyChain([b, a, c], { anchors: [anchor] }).map((f) => f.kind)).toContain('repeated');
  });
  it('calls rubbish in the middle a change, once', () => {
    const { lines: all, anchor } = trail(3);
    expect(verifyChain([all[0] ?? '', 'rubbish', all[2] ?? ''], { anchors: [anchor] })).toMatchObject([
      { kind: 'changed', line: 2 },
    ]);
  });
  it('calls a whole line without a chain a change, wherever it stands: a crash leaves no whole line', () => {
    const { lines: all } = trail(2);
    const foreign = '{"time":"t","type":"request"}';
    for (const lines of [[foreign], [foreign, ...all], [...all, foreign]])
      expect(verifyChain(lines).map(({ kind }) => kind)).toEqual(['changed']);
  });
  it('calls a line by the place that it is asked to', () => {
    const { lines: all } = trail(3);
    const placeOf = (line: number) => `line ${line} of x.log`;
    expect(verifyChain(['rubbish', ...all.slice(1)], { placeOf }).map(({ message }) => message)).toEqual([
      'line 1 of x.log is not a line that this server wrote',
      expect.stringMatching(/^line number 1 of writer w1 is missing before line 2 of x\.log$/),
    ]);
  });
});
