/** Tracing as the environment has it: a tracer for the services, and the way to the collector. */

import { readFile } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { BatchExporter } from '../base/trace/exporter.ts';
import { exportRequest } from '../base/trace/otlp.ts';
import { traceSettings } from '../base/trace/settings.ts';
import { Tracer } from '../base/trace/tracer.ts';
import { createDial } from '../server/http/dial.ts';
import { VERSION } from './version.ts';

export interface Tracing {
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  /** Sends what waits, for as long as the collector is given to answer. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 5000;
const OFF: Tracing = { close: async () => {} };

/**
 * @param service what runs here: "holdfast-server"
 * @throws Failure config.refused where a setting is wrong, cli.unreadable
 */
export async function openTracing(
  service: string,
  world: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly clock: Clock;
    readonly log: Log;
  },
): Promise<Tracing> {
  const { clock, log, env } = world;
  const settings = traceSettings(env, service);
  if (settings === undefined) return OFF;
  const { url, headers, caFile, sampler, resource } = settings;
  const ca = caFile === undefined ? undefined : await textOf(caFile);
  // The environment of the process named it, as it names its store: no tenant leads this way anywhere else.
  const dial = createDial({ target: (host, port) => ({ host, port }), allow: () => true });
  const scope = { name: 'holdfast', version: VERSION };
  const exporter = new BatchExporter({
    clock,
    log,
    async send(spans) {
      const { status } = await dial({
        url,
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: exportRequest(spans, { 'service.version': VERSION, ...resource }, scope),
        timeoutMs: TIMEOUT_MS,
        ...(ca === undefined ? {} : { ca }),
      });
      return status;
    },
  });
  const tracer = new Tracer({ clock, sampler, ended: (span) => exporter.add(span) });
  log.info('traces are sent', { host: new URL(url).host, service: resource['service.name'] });
  return { tracer, close: () => exporter.close() };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path });
  }
}
