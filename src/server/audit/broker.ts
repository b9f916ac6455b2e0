/**
 * The broker keeps the audit devices and gives each line to all of them. Fail-closed: with a device enabled, a line that
 * none took fails the request. Salts, options and anchors lie in the storage that is handed in, which the barrier guards.
 */

import { randomBytes } from 'node:crypto';
import { hex, textOf, utf8 } from '../../base/bytes.ts';
import type { Anchor } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditBroker, AuditSink } from './audit.ts';
import { Device } from './device.ts';
import { type AuditFileOptions, openAuditFile } from './file.ts';
import { Hasher } from './hash.ts';
import { auditLine, type LineInput } from './line.ts';
import { type DeviceSettings, type KeptDevice, keptDevice, readSettings } from './settings.ts';

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
  /** How a file is opened; tests hand in one that fails. */
  readonly openDevice?: (options: AuditFileOptions) => Promise<AuditSink>;
  /** How long a device may take for a line. */
  readonly timeoutMs?: number;
}

export interface ManagedAuditBroker extends AuditBroker {
  /** @throws Failure audit.in_use, audit.unknown_type, audit.bad_option */
  enable(path: string, config: AuditDeviceConfig): Promise<void>;
  disable(path: string): Promise<void>;
  list(): readonly (AuditDeviceConfig & { readonly path: string })[];
  /** @throws Failure audit.missing */
  hash(path: string, input: string): Promise<string>;
  /** The newest known line of each writer of the device, for `verifyAudit`. */
  anchors(path: string): Promise<readonly Anchor[]>;
  /** Opens the devices that were enabled before. One that does not open counts as one that takes no line. */
  load(): Promise<void>;
  /** Opens every file anew, after a rotation. */
  reopen(): Promise<void>;
  /** Before the barrier closes: the heads are anchored, the files closed, the salts forgotten. */
  close(): Promise<void>;
}

interface Active {
  readonly path: string;
  readonly kept: KeptDevice;
  readonly settings: DeviceSettings;
  readonly hasher: Hasher;
  /** Absent where it did not open. */
  device: Device | undefined;
}

const DEVICES = 'devices/';
const ANCHORS = 'anchors/';
const TIMEOUT_MS = 5000;

const normal = (path: string): string => (path.endsWith('/') ? path : `${path}/`);
/** One storage name per path, whatever slashes it holds. */
const nameOf = (path: string): string => encodeURIComponent(path.slice(0, -1));

export function createAuditBroker({
  storage,
  clock,
  log,
  openDevice = openAuditFile,
  timeoutMs = TIMEOUT_MS,
}: AuditBrokerOptions): ManagedAuditBroker {
  const active = new Map<string, Active>();

  const open = async (path: string, settings: DeviceSettings): Promise<Device> =>
    new Device({
      sink: await openDevice({ name: path, ...settings.file }),
      clock,
      prefix: settings.prefix,
      timeoutMs,
      async anchor(head) {
        try {
          const key = `${ANCHORS}${nameOf(path)}/${head.writer}`;
          await storage.commit([{ key, value: utf8(stringify(head)) }]);
        } catch (error) {
          log.warn('the head of an audit trail could not be anchored', { device: path, error });
        }
      },
    });

  const found = (path: string): Active => {
    const device = active.get(normal(path));
    if (device === undefined) throw failure('audit.missing', { path: normal(path) });
    return device;
  };

  const write = async (type: 'request' | 'response', input: LineInput): Promise<void> => {
    if (active.size === 0) return;
    const at = clock.now();
    const tries = [...active.values()].map(async ({ path, device, hasher, settings }) => {
      try {
        if (device === undefined) throw new Error('the audit device is not open');
        await device.write(stringify(auditLine(type, input, hasher, settings, at)));
      } catch (error) {
        log.error('an audit device did not take a line', { device: path, request: input.request.id, error });
        throw error;
      }
    });
    try {
      await Promise.any(tries);
    } catch {
      throw failure('audit.failed');
    }
  };

  return {
    get enabled() {
      return active.size > 0;
    },
    request: (request, auth, error, clear) => write('request', { request, auth, error, clear }),
    response: (request, auth, response, error, clear) =>
      write('response', { request, auth, response, error, clear }),

    async enable(given, config) {
      const path = normal(given);
      if (active.has(path)) throw failure('audit.in_use');
      const settings = readSettings(config);
      const kept: KeptDevice = { ...config, salt: hex(randomBytes(32)) };
      const device = await open(path, settings);
      if (active.has(path)) {
        await device.close();
        throw failure('audit.in_use');
      }
      try {
        await storage.commit([{ key: DEVICES + nameOf(path), value: utf8(stringify(kept)) }]);
      } catch (error) {
        await device.close();
        throw error;
      }
      active.set(path, { path, kept, settings, hasher: new Hasher(kept.salt), device });
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

    async anchors(path) {
      const folder = `${ANCHORS}${nameOf(normal(path))}/`;
      const heads: Anchor[] = [];
      for (const writer of await storage.list(folder)) {
        const entry = await storage.get(folder + writer);
        const text = entry && textOf(entry.value);
        if (text !== undefined) heads.push(JSON.parse(text) as Anchor);
      }
      return heads;
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
          // Left out, it would turn fail-closed into fail-open: it stays, and takes no line until `reopen` finds it.
          log.error('an audit device did not open', { device: path, error });
        }
        active.set(path, { path, kept, settings, hasher: new Hasher(kept.salt), device });
      }
    },

    async reopen() {
      for (const entry of active.values()) {
        try {
          if (entry.device === undefined) entry.device = await open(entry.path, entry.settings);
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
