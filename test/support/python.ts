/** A Python that can import what a test needs from PyPI, or the reason why there is none. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * HOLDFAST_PYTHON, else python3, else one of a folder of its own, into which pip installs the package where CI=true.
 * @param module what has to be importable; its package on PyPI has the same name
 */
export async function findPython(
  module: string,
): Promise<{ readonly command: string } | { readonly missing: string }> {
  const own = process.env['HOLDFAST_PYTHON'];
  const folder = join(tmpdir(), 'holdfast-python');
  const kept = join(folder, 'bin', 'python');
  const candidates = own !== undefined && own !== '' ? [own] : ['python3', kept];
  for (const command of candidates) if (await imports(command, module)) return { command };
  if (process.env['CI'] !== 'true' || (own !== undefined && own !== ''))
    return {
      missing: `no ${candidates.join(' and no ')} that can import ${module} (HOLDFAST_PYTHON names one)`,
    };
  try {
    if (!existsSync(kept)) await run('python3', ['-m', 'venv', folder]);
    await run(kept, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', module]);
  } catch (error) {
    const [line = ''] = String((error as { stderr?: string }).stderr ?? error)
      .trim()
      .split('\n')
      .slice(-1);
    return { missing: `pip could not install ${module} into ${folder}: ${line}` };
  }
  return { command: kept };
}

const imports = (command: string, module: string): Promise<boolean> =>
  run(command, ['-c', `import ${module}`]).then(
    () => true,
    () => false,
  );
