/**
 * The audit trail of a thread that reads. It makes the lines, which is most of their cost, and the thread that writes appends
 * them: one chain, one appender. Fail-closed: a line that was not taken fails the request, as it does there.
 */

import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditResponse, LineType } from '../audit/audit.ts';
import { type AuditedLines, DEVICES } from '../audit/broker.ts';
import { Hasher } from '../audit/hash.ts';
import { auditLines, inputsOf, type Told } from '../audit/line.ts';
import { type DeviceSettings, keptDevice, readSettings } from '../audit/settings.ts';
import type { Audit } from '../options.ts';

interface Layout {
  readonly hasher: Hasher;
  readonly settings: DeviceSettings;
}

/** A read that turned out to need the other thread: it is asked there, and told there. */
const HANDED_ON = failure('storage.standby').message;

/**
 * Over the devices as they are stored at this moment: whoever enables another has the services opened anew.
 * @param append hands lines to the appender; resolves to whether some device took them
 */
export async function relayedAudit(
  { storage, clock }: { readonly storage: Storage; readonly clock: Clock },
  append: (lines: AuditedLines) => Promise<boolean>,
): Promise<Audit> {
  const layouts = new Map<string, Layout>();
  for (const name of await storage.list(DEVICES)) {
    const entry = await storage.get(DEVICES + name);
    if (entry === undefined) continue;
    const kept = keptDevice(entry.value);
    layouts.set(`${decodeURIComponent(name)}/`, {
      hasher: new Hasher(kept.salt),
      settings: readSettings(kept),
    });
  }
  const write = async (
    types: readonly LineType[],
    told: Told,
    response: AuditResponse | undefined,
    error: string | undefined,
  ): Promise<void> => {
    if (layouts.size === 0 || error === HANDED_ON) return;
    const at = clock.now();
    const lines = inputsOf(types, told, response, error);
    const bodies = new Map<string, readonly string[]>();
    for (const [path, { hasher, settings }] of layouts)
      bodies.set(path, auditLines(lines, hasher, settings, at));
    if (!(await append({ types, request: told.request.id, bodies }))) throw failure('audit.failed');
  };
  const elsewhere = async (): Promise<never> => {
    throw failure('storage.standby');
  };
  return {
    get enabled() {
      return layouts.size > 0;
    },
    request: (request, auth, error, clear) => write(['request'], { request, auth, clear }, undefined, error),
    response: (request, auth, response, error, clear) =>
      write(['response'], { request, auth, clear }, response, error),
    exchange: (request, auth, response, error, clear) =>
      write(['request', 'response'], { request, auth, clear }, response, error),
    list: () => [],
    enable: elsewhere,
    disable: elsewhere,
    hash: elsewhere,
  };
}
