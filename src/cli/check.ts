/** check: what is wrong with manifests, policies and roles, told before anything is applied. Asks no server and no cluster. */

import { join } from 'node:path';
import type { Command } from 'commander';
import type { Surroundings } from '../platform/check/world.ts';
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
    .option('--format <format>', 'text, json, sarif or junit', 'text')
    .option('--server <file>', 'mounts and roles of the server, in YAML (docs/check.md)')
    .option('--paths <file>', 'what is stored: paths and their keys, or a seeding matrix')
    .option('--namespace <name>', 'where objects go that name no namespace', 'default')
    .option('--strict', 'fail for warnings, too')
    .action(async (places: readonly string[], flags: Flags) => {
      const { text, errors, warnings } = await run(places, flags, version, load).catch(endWithTwo(terminal));
      terminal.out(text);
      if (errors || (flags.strict === true && warnings)) throw new Exit(1);
    });
}

/** Schemas, templates and policies are loaded here: no other command waits for them. */
async function run(
  places: readonly string[],
  flags: Flags,
  version: string,
  load: () => Promise<Surroundings>,
): Promise<{ readonly text: string; readonly errors: boolean; readonly warnings: boolean }> {
  const [{ check }, { filesBelow }, { formatOf, report }, { readPaths, readServer }, { readText }] =
    await Promise.all([
      import('../platform/check/check.ts'),
      import('../platform/check/folder.ts'),
      import('../platform/check/report.ts'),
      import('../platform/check/server.ts'),
      import('../platform/files.ts'),
    ]);
  const format = formatOf(flags.format);
  const read = async <T>(file: string | undefined, as: (file: string, text: string) => T) =>
    file === undefined ? undefined : as(file, await readText(file));
  const [server, paths] = await Promise.all([read(flags.server, readServer), read(flags.paths, readPaths)]);
  const own = new Set(
    [flags.server, flags.paths].flatMap((file) => (file === undefined ? [] : [join(file)])),
  );
  const files = await filesBelow(places.length === 0 ? ['.'] : places, process.cwd());
  const checked = check({
    ...(await load()),
    files: files.filter(({ name }) => !own.has(name)),
    namespace: flags.namespace,
    ...(server === undefined ? {} : { server }),
    ...(paths === undefined ? {} : { paths }),
  });
  const has = (cls: string): boolean => checked.findings.some((finding) => finding.class === cls);
  return { text: report(checked, format, { version }), errors: has('error'), warnings: has('warning') };
}
