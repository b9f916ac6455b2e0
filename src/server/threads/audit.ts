/**
 * The audit trail of a thread that reads. It makes the lines, which is most of their cost, and the thread that writes appends
 * them: one chain, one appender. Fail-closed: a line that was not taken fails the request, as it does there.
 */

import { GROUP_LINES } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditBroker } from '../audit/audit.ts';
import { type AuditedLines, COUNTS, DEVICES } from '../audit/broker.ts';
import { Hasher } from '../audit/hash.ts';
import { Layout } from '../audit/line.ts';
import { keptDevice, readSettings } from '../audit/settings.ts';
import { Sheet, whole } from '../audit/sheet.ts';
import type { Audit } from '../options.ts';

/** What is recorded in one turn of the loop, or as much of it as one group of the trail takes: it crosses as one message. */
interface Gathered {
  readonly counts: { request: number; response: number };
  /** By the path of the device. */
  readonly sheets: ReadonlyMap<string, Sheet>;
  readonly taken: Promise<void>;
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
    layouts.set(`${decodeURIComponent(name)}/`, new Layout(new Hasher(kept.salt), readSettings(kept)));
  }

  let gathered: Gathered | undefined;
  const newSheets = (): Gathered['sheets'] => new Map([...layouts.keys()].map((path) => [path, new Sheet()]));
  let spare: Gathered['sheets'] | undefined;
  const send = async ({ counts, sheets }: Omit<Gathered, 'taken'>): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (gathered?.sheets === sheets) gathered = undefined;
    const texts = new Map([...sheets].map(([path, sheet]) => [path, sheet.toString()]));
    for (const sheet of sheets.values()) sheet.cleared();
    spare = sheets;
    if (!(await append({ counts, texts }))) throw failure('audit.failed');
  };
  const begin = (): Gathered => {
    const empty = { counts: { request: 0, response: 0 }, sheets: spare ?? newSheets() };
    spare = undefined;
    const taken = send(empty);
    // Whoever waits is told.
    taken.catch(() => undefined);
    return { ...empty, taken };
  };

  const record: AuditBroker['record'] = (lines, exchange) => {
    if (layouts.size === 0 || exchange.error === HANDED_ON) return Promise.resolve();
    const more = COUNTS[lines];
    const isFull = (now: Gathered): boolean =>
      now.counts.request + now.counts.response + more.request + more.response > GROUP_LINES;
    if (gathered === undefined || isFull(gathered)) gathered = begin();
    const { counts, sheets, taken } = gathered;
    const at = clock.now();
    // Not for one device and not for the other: the numbers of their lines are the same.
    whole([...sheets.values()], () => {
      for (const [path, sheet] of sheets) layouts.get(path)?.put(sheet, lines, exchange, at);
    });
    counts.request += more.request;
    counts.response += more.response;
    return taken;
  };
  const elsewhere = async (): Promise<never> => {
    throw failure('storage.standby');
  };
  return {
    get enabled() {
      return layouts.size > 0;
    },
    record,
    list: () => [],
    enable: elsewhere,
    disable: elsewhere,
    hash: elsewhere,
  };
}
