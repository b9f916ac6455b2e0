/** Routes that connections, roles and static roles have alike. */

import type { z } from 'zod';
import { type Operation, operation } from '../../../plugin/plugin.ts';
import { named, nothing } from '../fields.ts';
import type { Shelf } from '../store.ts';

/** Reads one thing, as it may be shown. */
export const reading = <T, O extends z.ZodType>(
  summary: string,
  shelf: Shelf<T>,
  output: O,
  shown: (kept: T) => z.input<O>,
): Operation =>
  operation({
    summary,
    input: named,
    output,
    effect: 'none',
    async run({ name }) {
      const kept = await shelf.get(name);
      return kept === undefined ? {} : { data: shown(kept) };
    },
  });

/** Does something to what a name stands for, and has nothing to tell of it. */
export const doing = (summary: string, act: (name: string) => Promise<void>): Operation =>
  operation({
    summary,
    input: named,
    output: nothing,
    effect: 'write',
    async run({ name }) {
      await act(name);
      return {};
    },
  });
