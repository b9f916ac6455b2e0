/** The program `holdfast`: the command line, and the servers that it starts in this process. */

import { runCli } from '../cli/program.ts';
import { processTerminal } from '../cli/terminal.ts';
import { declareJudging } from './check/command.ts';
import { declareDev } from './dev/command.ts';
import { declareOffline } from './offline/command.ts';
import { declareController } from './operator/command.ts';
import { declareServer } from './server/command.ts';
import { VERSION } from './version.ts';

process.exitCode = await runCli(process.argv.slice(2), processTerminal(), VERSION, [
  declareDev,
  declareServer,
  declareController,
  declareOffline,
  declareJudging,
]);
