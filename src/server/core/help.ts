/** `?help=1`: what a path is for, from the same declaration that routes and validates. */

import { z } from 'zod';
import type { Operation, Route, Verb } from '../../plugin/plugin.ts';

export interface Help {
  readonly help: string;
  readonly see_also: null;
  readonly openapi: Readonly<Record<string, unknown>>;
}

export function helpOf(route: Route): Help {
  const operations = Object.entries(route.operations) as [Verb, Operation][];
  const lines = operations.map(([verb, operation]) => `    ${verb.padEnd(8)}${operation.summary}`);
  return {
    help: `Request:        ${route.path}\n\n## OPERATIONS\n\n${lines.join('\n')}\n`,
    see_also: null,
    openapi: Object.fromEntries(
      operations.map(([verb, operation]) => [
        verb,
        { summary: operation.summary, input: schemaOf(operation.input) },
      ]),
    ),
  };
}

const schemaOf = (schema: z.ZodType): unknown =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
