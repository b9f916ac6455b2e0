/** audit: enable, list and disable audit devices, and what their files tell. */

import type { Command } from 'commander';
import { isBag } from '../client/envelope.ts';
import { readData } from './arguments.ts';
import { declareAuditVerify } from './auditverify.ts';
import { print, table } from './output.ts';
import { type Flags, open, remote, success } from './session.ts';
import { Exit, type Terminal } from './terminal.ts';
import { declareWhoRead } from './whoread.ts';

export function declareAudit(program: Command, terminal: Terminal): void {
  const group = program.command('audit').description('Interact with audit devices');

  remote(
    group,
    'enable <type> [options...]',
    'Enable a device: audit enable file file_path=/var/log/audit.log',
  )
    .option('--path <path>', 'its name; by default that of its type')
    .option('--description <text>', 'what it is for')
    .action(async (type: string, args: string[], flags: Flags & { path?: string; description?: string }) => {
      const session = await open(terminal, flags);
      const path = (flags.path ?? type).replace(/\/+$/, '');
      await session.client.request('PUT', `sys/audit/${path}`, {
        body: { type, description: flags.description, options: await readData(args, terminal) },
      });
      success(session, `Enabled the ${type} audit device at: ${path}/`);
    });

  remote(group, 'list', 'List the devices')
    .option('--detailed', 'with their options')
    .action(async (flags: Flags & { detailed?: boolean }) => {
      const session = await open(terminal, flags);
      const data = (await session.client.request('GET', 'sys/audit')).envelope?.data;
      const devices = Object.entries(isBag(data) ? data : {}).filter(([, device]) => isBag(device));
      print(terminal, session.format, Object.fromEntries(devices), () =>
        devices.length === 0
          ? 'No audit devices are enabled.\n'
          : table([
              ['Path', 'Type', 'Description', ...(flags.detailed ? ['Options'] : [])],
              ...devices.map(([path, device]) => [
                path,
                String(isBag(device) ? device['type'] : ''),
                String((isBag(device) && device['description']) || 'n/a'),
                ...(flags.detailed && isBag(device) ? [pairs(device['options'])] : []),
              ]),
            ]),
      );
      // A script asks this way whether there is a trail at all; JSON tells it by being empty.
      if (devices.length === 0 && session.format === 'table') throw new Exit(2);
    });

  remote(group, 'disable <path>', 'Disable a device').action(async (typed: string, flags: Flags) => {
    const session = await open(terminal, flags);
    const path = typed.replace(/\/+$/, '');
    await session.client.request('DELETE', `sys/audit/${path}`);
    success(session, `Disabled audit device (if it was enabled) at: ${path}/`);
  });

  declareAuditVerify(group, terminal);
  declareWhoRead(group, terminal);
}

const pairs = (options: unknown): string =>
  Object.entries(isBag(options) ? options : {})
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(' ');
