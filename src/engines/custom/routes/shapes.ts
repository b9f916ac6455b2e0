/** Fields that the routes of this engine share. */

import { z } from 'zod';
import { parseJson } from '../../../base/json.ts';
import { anyNames } from '../../../base/schema.ts';

/** What `schema` takes, or the same as JSON in a text, which is what a command line sends. */
export const orJsonText = <T extends z.ZodType>(schema: T) =>
  z.preprocess((given) => {
    if (typeof given !== 'string' || !given.trimStart().startsWith('{')) return given;
    try {
      return parseJson(given);
    } catch {
      return given;
    }
  }, anyNames(schema));

export const texts = () => orJsonText(z.record(z.string().max(256), z.string()));
export const named = z.object({ name: z.string() });
export const nothing = z.object({});
