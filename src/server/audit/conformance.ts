/** What every place that audit lines go to must do, as a suite that each implementation runs: the sentences of `audit.ts`. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import type { AuditSink } from './audit.ts';

export interface OpenedSink {
  readonly sink: AuditSink;
  /** The lines that arrived, without their line feeds and without what the way puts before them. */
  arrived(): string[];
  /** Ends whatever was at the other end. */
  end(): Promise<void>;
  /** Where a line may not be longer. */
  readonly longestLine?: number;
}

/** Runs the suite; `open` gives a sink to an empty place each time. */
export function describeSink(name: string, open: () => Promise<OpenedSink>): void {
  describe(`${name} as a place for audit lines`, () => {
    let opened: OpenedSink;
    let sink: AuditSink;
    beforeEach(async () => {
      opened = await open();
      sink = opened.sink;
    });
    afterEach(async () => {
      await sink.close();
      await opened.end();
    });
    const line = (text: string): string => JSON.stringify({ text });
    const send = (...lines: string[]): Promise<void> =>
      sink.append(utf8(lines.map((one) => `${one}\n`).join('')));
    const expectLines = (lines: readonly string[]) =>
      vi.waitFor(() => expect(opened.arrived()).toEqual(lines), { timeout: 10_000, interval: 5 });

    test('takes one line', async () => {
      await send(line('one'));
      await expectLines([line('one')]);
    });
    test('takes many lines at once, in their order', async () => {
      const many = Array.from({ length: 50 }, (_, i) => line(`line ${i}`));
      await send(...many);
      await expectLines(many);
    });
    test('keeps the order of what is appended one after the other', async () => {
      const many = Array.from({ length: 20 }, (_, i) => line(`append ${i}`));
      for (const one of many) await send(one);
      await expectLines(many);
    });
    test('keeps every byte of a long line, and of one beyond ASCII', async () => {
      const long = line('é€𝄞 "\\" '.repeat(Math.floor((opened.longestLine ?? 600_000) / 30)));
      await send(long, line('after'));
      await expectLines([long, line('after')]);
    });
    test('goes on after it was opened anew', async () => {
      await send(line('before'));
      await expectLines([line('before')]);
      await sink.reopen();
      await send(line('after'));
      await expectLines([line('before'), line('after')]);
    });
    test('is opened anew and closed while nothing was written yet', async () => {
      await sink.reopen();
      await sink.close();
      expect(opened.arrived()).toEqual([]);
    });
  });
}
