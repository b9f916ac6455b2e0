import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Anchor, FIRST, link, verifyChain } from './chain.ts';

describe('a chain of lines', () => {
  const trail = (count: number, writer = 'w1'): { lines: string[]; anchor: Anchor } => {
    let head: Anchor = { writer, seq: 0, sum: FIRST };
    const out: string[] = [];
    for (let i = 0; i < count; i++) {
      const linked = link(head, [JSON.stringify({ time: 't', n: i, s: 'é"\\' })]);
      head = linked.head;
      out.push(...linked.lines);
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
      const linked = link(head, [JSON.stringify({ time: 't', n: i + 100 })]);
      head = linked.head;
      return linked.lines[0] ?? '';
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
  it('calls whole lines that nothing closes torn where a writer ended, and a change everywhere else', () => {
    const { lines: all, anchor } = trail(2);
    const [a = '', b = ''] = all;
    const open = '{"time":"t","type":"request","chain":{"open":true}}';
    for (const lines of [
      [open, ...all],
      [...all, open],
      [...all, open, open, open.slice(0, 9)],
      [...all, open, ...trail(2, 'w2').lines],
    ])
      expect(verifyChain(lines, { anchors: [anchor] }).map(({ kind }) => kind)).toEqual(['torn']);
    for (const lines of [
      [a, open, b],
      [...all, open.slice(0, 9), open],
    ])
      expect(verifyChain(lines, { anchors: [anchor] }).map(({ kind }) => kind)).toEqual(['changed']);
    // Nor does a server leave a line that says nothing of a chain, wherever it stands.
    const foreign = '{"time":"t","type":"request"}';
    for (const lines of [[foreign], [foreign, ...all], [...all, foreign], [...all, open, foreign]])
      expect(
        verifyChain(lines, { anchors: lines.length < 3 ? [] : [anchor] }).map(({ kind }) => kind),
      ).toEqual(['changed']);
    // The server knows that somebody was answered for the third line.
    const known = { ...anchor, seq: 3 };
    expect(verifyChain([...all, open], { anchors: [known] }).map(({ kind }) => kind)).toEqual([
      'changed',
      'missing',
    ]);
  });
  it('calls a line by the place that it is asked to', () => {
    const { lines: all } = trail(3);
    const placeOf = (line: number) => `line ${line} of x.log`;
    expect(verifyChain(['rubbish', ...all.slice(1)], { placeOf }).map(({ message }) => message)).toEqual([
      'line 1 of x.log is not a line that this server wrote',
    ]);
    expect(verifyChain(all.slice(1), { placeOf }).map(({ message }) => message)).toEqual([
      'line number 1 of writer w1 is missing before line 1 of x.log',
    ]);
  });
});

describe('a chain of groups', () => {
  const trail = (sizes: readonly number[], writer = 'w1'): { lines: string[]; heads: Anchor[] } => {
    const heads: Anchor[] = [{ writer, seq: 0, sum: FIRST }];
    const lines = sizes.flatMap((size) => {
      const from = heads.at(-1) as Anchor;
      const bodies = Array.from({ length: size }, (_, i) =>
        JSON.stringify({ n: from.seq + i + 1, s: 'é"\\' }),
      );
      const linked = link(from, bodies);
      heads.push(linked.head);
      return linked.lines;
    });
    return { lines, heads };
  };
  const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 });
  const last = <T>(all: readonly T[]): T => all.at(-1) as T;

  it('is whole as it was written, and the last line of each group closes it', () => {
    const { lines, heads } = trail([3, 1, 2]);
    expect(verifyChain(lines, { anchors: [last(heads)] })).toEqual([]);
    expect(lines.map((line) => JSON.parse(line)['chain']?.lines)).toEqual([
      undefined,
      undefined,
      3,
      1,
      undefined,
      2,
    ]);
    expect(heads.map(({ seq }) => seq)).toEqual([0, 3, 4, 6]);
  });
  it('shows any changed character, any deleted line, any line put in, and any two that changed places', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), fc.nat(), (groups, which, where, other) => {
        const { lines: all, heads } = trail(groups);
        const anchors = [last(heads)];
        const at = which % all.length;
        const line = all[at] ?? '';
        const pos = where % line.length;
        const put = line[pos] === 'x' ? 'y' : 'x';
        const changed = all.with(at, line.slice(0, pos) + put + line.slice(pos + 1));
        const without = all.filter((_, i) => i !== at);
        const more = [...all.slice(0, at), '{"n":0,"chain":{"open":true}}', ...all.slice(at)];
        const swapped = all.with(at, all[other % all.length] ?? '').with(other % all.length, line);
        for (const bad of [
          changed,
          without,
          at === 0 ? changed : more,
          at === other % all.length ? changed : swapped,
        ])
          expect(verifyChain(bad, { anchors }).filter(({ kind }) => kind !== 'torn')).not.toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
  it('a crash at any byte of a group costs that group, is called torn, and nothing else is found', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (groups, where) => {
        const { lines, heads } = trail(groups);
        const known = heads.at(-2) as Anchor;
        const whole = lines
          .slice(0, known.seq)
          .map((line) => `${line}\n`)
          .join('');
        const group = lines.slice(known.seq).join('\n');
        const cut = group.slice(0, where % group.length);
        const after = trail([2, 1], 'w2');
        const found = verifyChain(`${whole}${cut}\n${after.lines.join('\n')}\n`.split('\n'), {
          anchors: [...(known.seq === 0 ? [] : [known]), last(after.heads)],
        });
        expect(found.map(({ kind }) => kind)).toEqual(cut === '' ? [] : ['torn']);
      }),
      { numRuns: 1000 },
    );
  });
  it('says which lines of which group are gone', () => {
    const { lines, heads } = trail([2, 4, 1]);
    const anchors = [last(heads)];
    const found = (gone: readonly number[]) =>
      verifyChain(
        lines.filter((_, i) => !gone.includes(i + 1)),
        { anchors },
      ).map(({ message }) => message);
    expect(found([4])).toEqual(['1 of the lines number 3 to 6 of writer w1 is missing before line 5']);
    expect(found([3, 5])).toEqual(['2 of the lines number 3 to 6 of writer w1 are missing before line 4']);
    expect(found([3, 4, 5, 6])).toEqual(['lines number 3 to 6 of writer w1 are missing before line 3']);
    expect(found([7])).toEqual(['line number 7 of writer w1 is missing at the end']);
    expect(verifyChain(lines.slice(3), { anchors, partial: true })).toEqual([]);
  });
  it('is not believed with a head that lies within one of its groups', () => {
    const { lines, heads } = trail([1, 1, 1]);
    const { lines: anew } = trail([3]);
    expect(verifyChain(anew)).toEqual([]);
    expect(verifyChain(anew, { anchors: [heads[2] as Anchor] })).toMatchObject([{ kind: 'changed' }]);
    expect(verifyChain(lines, { anchors: [heads[2] as Anchor] })).toEqual([]);
  });
});
