/**
 * The broker keeps the audit devices and gives each line to all of them. Fail-closed: with a device enabled, a line that
 * none took fails the request. Salts, options and anchors lie in the storage that is handed in, which the barrier guards.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { hex, utf8 } from '../../base/bytes.ts';
import type { Anchor } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import type { Storage } from '../../storage/storage.ts';
import { Anchors } from './anchors.ts';
import type { AuditBroker, AuditCounts, Lines } from './audit.ts';
import { Device } from './device.ts';
import { Hasher } from './hash.ts';
import { Layout } from './line.ts';
import type { OpenLink } from './link.ts';
import { type DeviceSettings, type KeptDevice, keptDevice, readSettings, type Target } from './settings.ts';
import type { Sheet } from './sheet.ts';
import { type OpenSink, sinkOpener } from './sinks.ts';

export interface AuditDeviceConfig {
  readonly type: string;
  readonly description: string;
  readonly options: Readonly<Record<string, string>>;
  readonly local: boolean;
}

export interface AuditBrokerOptions {
  /** A view of its own, behind the barrier. */
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** The way to syslog daemons and collectors; absent: devices that need one are refused. */
  readonly openLink?: OpenLink;
  /** How a device is opened; tests hand in one that fails. */
  readonly openSink?: OpenSink;
  /** How long a device may take for a line, where it has no write_timeout. */
  readonly timeoutMs?: number;
}

/** How many lines of each type. */
export interface LineCounts {
  readonly request: number;
  readonly response: number;
}

/** Lines that another thread put down, of which a device takes all or none. */
export interface AuditedLines {
  readonly counts: LineCounts;
  /** As they go out, hashed for each device, by its path. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ManagedAuditBroker extends AuditBroker {
  /** @throws Failure audit.in_use, audit.unknown_type, audit.bad_option, audit.test_failed */
  enable(path: string, config: AuditDeviceConfig): Promise<void>;
  disable(path: string): Promise<void>;
  list(): readonly (AuditDeviceConfig & { readonly path: string })[];
  /** @throws Failure audit.missing */
  hash(path: string, input: string): Promise<string>;
  counts(): AuditCounts;
  /**
   * Appends the lines that another thread made.
   * @throws Failure audit.failed where no device took them
   */
  append(lines: AuditedLines): Promise<void>;
  /**
   * The newest known line of each writer of the device, for `ChainVerifier`. What was written before this was asked for is
   * covered, so the files are to be read afterwards. A device that was disabled still has them.
   */
  anchors(path: string): Promise<readonly Anchor[]>;
  /** Opens the devices that were enabled before. One that does not open counts as one that takes no line. */
  load(): Promise<void>;
  /** Opens every file anew, after a rotation, and drops every connection, which the next line makes again. */
  reopen(): Promise<void>;
  /** Before the barrier closes: the heads are anchored, the files closed, the salts forgotten. */
  close(): Promise<void>;
}

interface Active {
  readonly path: string;
  readonly kept: KeptDevice;
  readonly settings: DeviceSettings;
  readonly hasher: Hasher;
  readonly layout: Layout;
  /** Absent where it did not open. */
  device: Device | undefined;
  /** When it was last tried to open, on the monotonic clock. */
  triedAt: number;
}

/** Who waits for one batch of the only device. */
interface Waiting {
  readonly written: Promise<void>;
  /** As `written`, and refused as each of them is: a promise for each would be a good part of what its lines cost. */
  readonly taken: Promise<void>;
  readonly all: { readonly lines: LineCounts; readonly request: string | undefined }[];
}

/** Where the devices are kept, in the broker's own storage. */
export const DEVICES = 'devices/';
const TIMEOUT_MS = 5000;
/** How often a device that did not open is tried again. */
const RETRY_MS = 1000;

/** How many lines each way of recording an exchange makes. */
export const COUNTS: Readonly<Record<Lines, LineCounts>> = {
  request: { request: 1, response: 0 },
  response: { request: 0, response: 1 },
  both: { request: 1, response: 1 },
};

const normal = (path: string): string => (path.endsWith('/') ? path : `${path}/`);
/** One storage name per path, whatever slashes it holds. */
const nameOf = (path: string): string => encodeURIComponent(path.slice(0, -1));

export function createAuditBroker({
  storage,
  clock,
  log,
  openLink,
  openSink = sinkOpener({ clock, ...(openLink === undefined ? {} : { openLink }) }),
  timeoutMs = TIMEOUT_MS,
}: AuditBrokerOptions): ManagedAuditBroker {
  const active = new Map<string, Active>();
  const anchors = new Anchors(storage, clock);
  const counts = { request: { lines: 0, failures: 0 }, response: { lines: 0, failures: 0 } };

  const open = async (path: string, { target, prefix }: DeviceSettings): Promise<Device> =>
    new Device({
      sink: await openSink(path, target),
      clock,
      prefix,
      timeoutMs: 'timeoutMs' in target ? target.timeoutMs : timeoutMs,
      async anchor(head) {
        try {
          await anchors.put(path, head);
        } catch (error) {
          log.warn('the head of an audit trail could not be anchored', { device: path, error });
        }
      },
    });

  /** Opens a device that did not open before; without this a disk that was mounted late would need a signal. */
  const openAgain = async (entry: Active): Promise<void> => {
    entry.triedAt = clock.monotonic();
    const device = await open(entry.path, entry.settings);
    if (entry.device === undefined && active.get(entry.path) === entry) entry.device = device;
    else await device.close();
  };

  const found = (path: string): Active => {
    const device = active.get(normal(path));
    if (device === undefined) throw failure('audit.missing', { path: normal(path) });
    return device;
  };

  const count = (lines: LineCounts, what: 'lines' | 'failures'): void => {
    counts.request[what] += lines.request;
    counts.response[what] += lines.response;
  };

  const reopened = async (entry: Active): Promise<Device> => {
    if (clock.monotonic() - entry.triedAt >= RETRY_MS) await openAgain(entry);
    if (entry.device === undefined) throw new Error('the audit device is not open');
    return entry.device;
  };

  const tell = ({ path, settings }: Active, request: string | undefined, error: unknown): void => {
    const to = placeOf(settings.target);
    log.error('an audit device did not take a line', {
      device: path,
      ...(to === undefined ? {} : { to }),
      ...(request === undefined ? {} : { request }),
      error,
    });
  };

  const waitingFor = (entry: Active, written: Promise<void>): Waiting => {
    const all: Waiting['all'] = [];
    const taken = written.catch((error: unknown) => {
      for (const { lines, request } of all) {
        tell(entry, request, error);
        count(lines, 'failures');
      }
      throw failure('audit.failed');
    });
    return { written, taken, all };
  };
  let newest: Waiting | undefined;

  /** Gives each device its lines, which `putFor` puts down for it. @param request names the request in the log */
  const give = (
    lines: LineCounts,
    request: string | undefined,
    putFor: (sheet: Sheet, entry: Active) => void,
  ): Promise<void> => {
    count(lines, 'lines');
    const write = (entry: Active): Promise<void> => {
      const { device } = entry;
      const number = lines.request + lines.response;
      const put = (sheet: Sheet): void => putFor(sheet, entry);
      return device === undefined
        ? reopened(entry).then((opened) => opened.write(number, put))
        : device.write(number, put);
    };
    // Mostly there is one, and a request more or less waits for this alone.
    const [first, another] = active.values();
    if (first !== undefined && another === undefined) {
      const written = write(first);
      if (newest?.written !== written) newest = waitingFor(first, written);
      newest.all.push({ lines, request });
      return newest.taken;
    }
    const told =
      (entry: Active) =>
      (error: unknown): never => {
        tell(entry, request, error);
        throw error;
      };
    return Promise.any([...active.values()].map((entry) => write(entry).catch(told(entry)))).catch(() => {
      count(lines, 'failures');
      throw failure('audit.failed');
    });
  };

  /** Upstream's test message: a device that would refuse every line must not be enabled, and refuse every request. */
  const test = async (device: Device, layout: Layout): Promise<void> => {
    const request = {
      id: randomUUID(),
      operation: 'update',
      path: 'sys/audit/test',
      remote: { address: '', port: 0 },
    };
    try {
      await device.write(1, (sheet) => layout.put(sheet, 'request', { request }, clock.now()));
    } catch (error) {
      throw failure('audit.test_failed', { reason: error instanceof Error ? error.message : 'unknown' });
    }
  };

  return {
    get enabled() {
      return active.size > 0;
    },
    counts: () => counts,
    append: ({ counts: lines, texts }) =>
      give(lines, undefined, (sheet, { path }) => {
        const own = texts.get(path);
        // Enabled while the lines were on their way: whoever asked is asked anew, and gets lines for it too.
        if (own === undefined) throw new Error('the line was made before the device was enabled');
        sheet.text(own);
      }),
    record(lines, exchange) {
      if (active.size === 0) return Promise.resolve();
      const at = clock.now();
      return give(COUNTS[lines], exchange.request.id, (sheet, { layout }) =>
        layout.put(sheet, lines, exchange, at),
      );
    },

    async enable(given, config) {
      const path = normal(given);
      const isTaken = (): boolean =>
        [...active.keys()].some((other) => other.startsWith(path) || path.startsWith(other));
      if (isTaken()) throw failure('audit.in_use');
      const settings = readSettings(config);
      const kept: KeptDevice = { ...config, salt: hex(randomBytes(32)) };
      const hasher = new Hasher(kept.salt);
      const layout = new Layout(hasher, settings);
      const device = await open(path, settings);
      try {
        if (settings.tested) await test(device, layout);
        if (isTaken()) throw failure('audit.in_use');
        await storage.commit([{ key: DEVICES + nameOf(path), value: utf8(stringify(kept)) }]);
      } catch (error) {
        await device.close();
        throw error;
      }
      active.set(path, { path, kept, settings, hasher, layout, device, triedAt: clock.monotonic() });
    },

    async disable(given) {
      const path = normal(given);
      const gone = active.get(path);
      if (gone === undefined) return;
      await storage.commit([{ key: DEVICES + nameOf(path), delete: true }]);
      active.delete(path);
      await gone.device?.close();
    },

    list: () =>
      [...active.values()]
        .sort((a, b) => (a.path < b.path ? -1 : 1))
        .map(({ path, kept: { type, description, options, local } }) => ({
          path,
          type,
          description,
          options,
          local,
        })),

    hash: async (path, input) => found(path).hasher.hash(input),

    async anchors(given) {
      const path = normal(given);
      await active.get(path)?.device?.anchorNow();
      return anchors.all(path);
    },

    async load() {
      for (const name of await storage.list(DEVICES)) {
        const entry = await storage.get(DEVICES + name);
        if (entry === undefined) continue;
        const path = normal(decodeURIComponent(name));
        const kept = keptDevice(entry.value);
        const settings = readSettings(kept);
        let device: Device | undefined;
        try {
          device = await open(path, settings);
        } catch (error) {
          // Left out, it would turn fail-closed into fail-open: it stays, and takes no line until it opens.
          log.error('an audit device did not open', { device: path, error });
        }
        const hasher = new Hasher(kept.salt);
        const layout = new Layout(hasher, settings);
        active.set(path, { path, kept, settings, hasher, layout, device, triedAt: clock.monotonic() });
      }
    },

    async reopen() {
      for (const entry of active.values()) {
        try {
          if (entry.device === undefined) await openAgain(entry);
          else await entry.device.reopen();
        } catch (error) {
          log.error('an audit device did not open again', { device: entry.path, error });
        }
      }
    },

    async close() {
      const all = [...active.values()];
      active.clear();
      await Promise.all(all.map(({ device }) => device?.close()));
    },
  };
}

/** Where a device's lines go, for who looks why they do not; undefined where that is nowhere in particular. */
function placeOf(target: Target): string | undefined {
  if ('path' in target) return target.path;
  if (!('link' in target)) return undefined;
  const { link } = target;
  return link.network === 'unix' ? link.path : `${link.host}:${link.port}`;
}
