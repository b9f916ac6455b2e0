/** From the settings of a device to the place where its lines go. */

import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { AuditSink } from './audit.ts';
import { openAuditFile } from './file.ts';
import { type OpenLink, openLinkSink } from './link.ts';
import type { Target } from './settings.ts';
import { syslogFrame } from './syslog.ts';

export interface SinkWorld {
  readonly clock: Clock;
  /** The way to other programs; absent where there is none, and then devices that need one are refused. */
  readonly openLink?: OpenLink;
  /** Standard output; tests hand in another. */
  readonly output?: NodeJS.WritableStream;
}

export type OpenSink = (name: string, target: Target) => Promise<AuditSink>;

/** @returns what opens a device: @throws Failure audit.bad_option where a file cannot be opened */
export const sinkOpener =
  ({ clock, openLink = noLink, output = process.stdout }: SinkWorld): OpenSink =>
  async (name, target) => {
    switch (target.kind) {
      case 'file':
        return openAuditFile({ name, ...target });
      case 'stdout':
        return outputSink(name, output);
      case 'discard':
        return { name, append: nothing, reopen: nothing, close: nothing };
      case 'socket': {
        const { link, timeoutMs } = target;
        return openLinkSink({ name, target: link, timeoutMs, clock, openLink });
      }
      case 'syslog': {
        const { link, timeoutMs, facility, tag } = target;
        const frame = syslogFrame({ facility, tag, network: link.network, clock });
        return openLinkSink({ name, target: link, timeoutMs, clock, openLink, frame });
      }
    }
  };

const nothing = async (): Promise<void> => {};

const noLink: OpenLink = async () => {
  throw failure('audit.bad_option', { reason: 'this server has no way to other programs: write to a file' });
};

/** Standard output belongs to the whole process: it is never closed here, and a reader that went away must not end the server. */
function outputSink(name: string, output: NodeJS.WritableStream): AuditSink {
  const heard = (): void => undefined;
  output.on('error', heard);
  return {
    name,
    append: (lines) =>
      new Promise((resolve, reject) => {
        output.write(lines, (error) => (error ? reject(error) : resolve()));
      }),
    reopen: nothing,
    async close() {
      output.removeListener('error', heard);
    },
  };
}
