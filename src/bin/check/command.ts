/**
 * `check` and `explain`, declared with the providers' schemas and the paths that Vault's keys lead to, which are loaded only
 * when one of them is given.
 */

import type { Command } from 'commander';
import { declareCheck } from '../../cli/check.ts';
import { declareExplain } from '../../cli/explain.ts';
import type { Terminal } from '../../cli/terminal.ts';
import type { Surroundings } from '../../platform/check/world.ts';
import { VERSION } from '../version.ts';

const load = async (): Promise<Surroundings> => {
  const [{ providers }, { locateKeys }] = await Promise.all([
    import('../operator/providers.ts'),
    import('../dev/locate.ts'),
  ]);
  return { providers: providers({ env: {} }), locate: locateKeys };
};

export function declareJudging(program: Command, terminal: Terminal): void {
  declareCheck(program, terminal, VERSION, load);
  declareExplain(program, terminal, load);
}
