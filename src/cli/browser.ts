/** Opens a page in the browser of whoever sits at the terminal. */

import { spawn } from 'node:child_process';

type Env = Readonly<Record<string, string | undefined>>;

/** The program that opens pages: what BROWSER names, else the system's own. Pure. */
export function browserCommand(
  env: Env,
  platform: NodeJS.Platform,
): { readonly command: string; readonly args: readonly string[] } {
  const named = env['BROWSER'];
  if (named !== undefined && named !== '') return { command: named, args: [] };
  if (platform === 'darwin') return { command: 'open', args: [] };
  if (platform === 'win32') return { command: 'rundll32', args: ['url.dll,FileProtocolHandler'] };
  return { command: 'xdg-open', args: [] };
}

/**
 * Opens a web page, and gives whether a program was found for it. Nothing but http and https is opened, for the address
 * comes from a server: another scheme could start another program.
 */
export function openBrowser(address: string, env: Env): Promise<boolean> {
  const web = URL.canParse(address) && /^https?:$/.test(new URL(address).protocol);
  if (!web) return Promise.resolve(false);
  const { command, args } = browserCommand(env, process.platform);
  return new Promise((resolve) => {
    const child = spawn(command, [...args, new URL(address).href], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}
