/** Names of accounts in databases: the templates of all engines, refused in the words that this engine's clients know. */

import { failure } from '../../base/errors.ts';
import { compileTemplate as compile, type Make } from '../nametemplate.ts';

/** @throws Failure database.template, here or when a name is made */
export const compileTemplate = (template: string): Make =>
  compile(template, (reason) => failure('database.template', { reason }));
