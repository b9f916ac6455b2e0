/** check: what is wrong with manifests, policies and roles, told before anything is applied. Asks no server and no cluster. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { check } from '../platform/check/check.ts';
import { filesBelow } from '../platform/check/folder.ts';
import { FORMATS, type ReportFormat, report } from '../platform/check/report.ts';
import { type KnownPaths, type KnownServer, readPaths, readServer } from '../platform/check/server.ts';
import type { Surroundings } from '../platform/check/world.ts';
import { readText } from '../platform/files.ts';
import { Exit, endWithTwo, type Terminal } from './terminal.ts';

interface Flags {
  readonly format: string;
  readonly namespace: string;
  readonly server?: string;
  readonly paths?: string;
  readonly strict?: boolean;
}

/** @param load gives what is wired elsewhere, when the command is really given: providers are many */
export function declareCheck(
  program: Command,
  terminal: Terminal,
  version: string,
  load: () => Promise<Surroundings>,
): void {
  program
    .command('check [places...]')
    .description('Find what is wrong with manifests, policies and roles, without a server or a cluster')
    .option('--format <format>', `${FORMATS.join(', ')}`, 'text')
    .option('--server <file>', 'mounts and roles of the server, in YAML (docs/check.md)')
    .option('--paths <file>', 'what is stored: paths and their keys, or a seeding matrix')
    .option('--namespace <name>', 'where objects go that name no namespace', 'default')
    .option('--strict', 'fail for warnings, too')
    .action(async (places: readonly string[], flags: Flags) => {
      const checked = await run(places, flags, load).catch(endWithTwo(terminal));
      terminal.out(report(checked, formatOf(flags.format), { version }));
      const failing = checked.findings.some(
        (finding) => finding.class === 'error' || (flags.strict === true && finding.class === 'warning'),
      );
      if (failing) throw new Exit(1);
    });
}

async function run(places: readonly string[], flags: Flags, load: () => Promise<Surroundings>) {
  formatOf(flags.format);
  const folders = places.length === 0 ? ['.'] : places;
  const [server, paths] = await Promise.all([serverOf(flags), pathsOf(flags)]);
  const given = new Set(
    [flags.server, flags.paths].flatMap((file) => (file === undefined ? [] : [join(file)])),
  );
  const files = (await filesBelow(folders, process.cwd())).filter(({ name }) => !given.has(name));
  return check({
    ...(await load()),
    files,
    namespace: flags.namespace,
    ...(server === undefined ? {} : { server }),
    ...(paths === undefined ? {} : { paths }),
  });
}

const serverOf = async ({ server: file }: Flags): Promise<KnownServer | undefined> =>
  file === undefined ? undefined : readServer(file, await readText(file));

const pathsOf = async ({ paths: file }: Flags): Promise<KnownPaths | undefined> =>
  file === undefined ? undefined : readPaths(file, await readText(file));

function formatOf(text: string): ReportFormat {
  const format = FORMATS.find((one) => one === text);
  if (format === undefined) throw failure('cli.usage', { reason: `-format is ${FORMATS.join(', ')}` });
  return format;
}
