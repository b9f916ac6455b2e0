/** `check`, declared with the providers' schemas and the paths that Vault's keys lead to, which are loaded only when it is given. */

import type { Command } from 'commander';
import { declareCheck } from '../../cli/check.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { VERSION } from '../version.ts';

export const declareOfflineCheck = (program: Command, terminal: Terminal): void =>
  declareCheck(program, terminal, VERSION, async () => {
    const [{ providers }, { locateKeys }] = await Promise.all([
      import('../operator/providers.ts'),
      import('../dev/locate.ts'),
    ]);
    return { providers: providers({ env: {} }), locate: locateKeys };
  });
