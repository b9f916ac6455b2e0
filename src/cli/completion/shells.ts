/**
 * How shells ask a program for completions. All of them set COMP_LINE and read words from its output, one a line; a word
 * after which a blank belongs ends in one, because shells cannot know that "secret/" goes on and "kv" does not.
 */

import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../base/errors.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: 'complete -o nospace -C holdfast holdfast\n',
  zsh: 'autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C holdfast holdfast\n',
  fish: `function __complete_holdfast
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct); and set COMP_LINE "$COMP_LINE "
    holdfast | string trim
end
complete -f -c holdfast -a "(__complete_holdfast)"
`,
};

/** What a shell runs to have completions. */
export const scriptOf = (shell: Shell): string => SCRIPTS[shell];

/** The file that a shell reads when it starts, and whether it is ours alone or shared with its owner's own lines. */
const PLACES: Readonly<Record<Shell, { readonly file: string; readonly own: boolean }>> = {
  bash: { file: '.bashrc', own: false },
  zsh: { file: '.zshrc', own: false },
  fish: { file: '.config/fish/completions/holdfast.fish', own: true },
};

/**
 * Puts completions into the files of the shells that are used here: those that have a file already. Gives the files that
 * were changed. @throws Failure cli.unwritable
 */
export async function install(home: string): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const file = join(home, PLACES[shell].file);
    const present = await textIn(file);
    const used = PLACES[shell].own
      ? (await textIn(join(home, '.config/fish/config.fish'))) !== undefined
      : present !== undefined;
    const missing = linesMissing(present ?? '', SCRIPTS[shell]);
    if (!used || missing === '') continue;
    await writing(file, async () => {
      await mkdir(dirname(file), { recursive: true });
      if (PLACES[shell].own) return writeFile(file, SCRIPTS[shell]);
      await appendFile(file, `${(present ?? '').endsWith('\n') || present === '' ? '' : '\n'}${missing}`);
    });
    changed.push(file);
  }
  return changed;
}

/** Takes them out again; lines of others stay. Gives the files that were changed. @throws Failure cli.unwritable */
export async function uninstall(home: string): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const file = join(home, PLACES[shell].file);
    const present = await textIn(file);
    if (present === undefined) continue;
    const left = withoutCompletion(present);
    if (!PLACES[shell].own && left === present) continue;
    await writing(file, () => (PLACES[shell].own ? rm(file) : writeFile(file, left)));
    changed.push(file);
  }
  return changed;
}

/** The lines of a script that a file does not have yet: the preparation of zsh is often there for other programs. */
const linesMissing = (present: string, script: string): string => {
  const lines = new Set(present.split('\n'));
  return script
    .split('\n')
    .filter((line) => line !== '' && !lines.has(line))
    .map((line) => `${line}\n`)
    .join('');
};

/** Only the line that names this program: what prepares the shell may serve others too. */
const withoutCompletion = (text: string): string => text.replace(/^complete .*-C holdfast holdfast\n?/gm, '');

const textIn = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);

async function writing(file: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch {
    throw failure('cli.unwritable', { path: file });
  }
}
