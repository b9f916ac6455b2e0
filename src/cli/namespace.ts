/** namespace: there are none here, which is said in one sentence rather than by a server's 404. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';

export function declareNamespace(program: Command): void {
  program
    .command('namespace [arguments...]')
    .description('Not there: a server has one namespace')
    .allowUnknownOption()
    .action(() => {
      throw failure('cli.usage', {
        reason:
          'a Holdfast server has no namespaces: mount engines under paths of their own and divide them by policies.',
      });
    });
}
