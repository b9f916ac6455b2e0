/**
 * The seals of the configuration file, ready to be asked. Each has a way out of its own, which leads to the one address that
 * the file gives it and nowhere else: `egress` is for what requests and mounts name.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { SealSettings, SealsSettings, TransitSettings } from '../../server/config/seal.ts';
import { createDial, type DialTls } from '../../server/http/dial.ts';
import { keepRenewed } from '../../server/seal/renewal.ts';
import type { AutoSeal, Seals } from '../../server/seal/seal.ts';
import { transitSeal } from '../../server/seal/transit.ts';

interface World {
  readonly clock: Clock;
  readonly log: Log;
}

export interface OpenSeals {
  readonly seals: Seals;
  /** Ends their requests and renewals; may be called again. */
  close(): void;
}

/** Asks nobody yet, but for the renewal of tokens. @throws Failure cli.unreadable, config.refused where a file is wrong */
export async function openSeals({ active, retired }: SealsSettings, world: World): Promise<OpenSeals> {
  const open = async (settings: SealSettings | undefined): Promise<AutoSeal | undefined> =>
    settings && openTransit(settings, world, await tlsOf(settings));
  const [to, from] = [await open(active), await open(retired)];
  return {
    seals: { ...(to === undefined ? {} : { active: to }), ...(from === undefined ? {} : { retired: from }) },
    close() {
      to?.close();
      from?.close();
    },
  };
}

function openTransit(settings: TransitSettings, { clock, log }: World, tls: DialTls): AutoSeal {
  const url = new URL(settings.address);
  const own = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
  };
  const ask = createDial({
    target: (host, port) => ({ host, port }),
    allow: ({ host, port }) => host === own.host && port === own.port,
    tls,
  });
  const seal = transitSeal({ ...settings, ask });
  if (!settings.renew) return seal;
  const stop = keepRenewed({ renew: () => seal.renewToken(), clock, log });
  return {
    ...seal,
    close() {
      stop();
      seal.close();
    },
  };
}

async function tlsOf({ tls: { ca, cert, key, serverName, skipVerify } }: TransitSettings): Promise<DialTls> {
  return {
    ...(ca === undefined ? {} : { ca: await pem(ca, 'certificate', (text) => new X509Certificate(text)) }),
    ...(cert === undefined
      ? {}
      : { cert: await pem(cert, 'certificate', (text) => new X509Certificate(text)) }),
    ...(key === undefined ? {} : { key: await pem(key, 'private key', (text) => createPrivateKey(text)) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(skipVerify ? { rejectUnauthorized: false } : {}),
  };
}

/** Read and looked at before anything listens; the parser's own error may quote a key. */
async function pem(path: string, what: string, parse: (text: string) => unknown): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw failure('cli.unreadable', { path });
  });
  try {
    parse(text);
    return text;
  } catch {
    throw failure('config.refused', {
      reason: `${path}: it holds no ${what} in PEM`,
      mend: 'Name the right file in the stanza of the seal.',
    });
  }
}
