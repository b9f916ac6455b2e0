/**
 * The seals of the configuration file, ready to be asked. Each has a way out of its own, which leads to the addresses that
 * follow from its stanza and nowhere else: `egress` is for what requests and mounts name.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { SealSettings, SealsSettings, TransitSettings } from '../../server/config/seal.ts';
import type { AwsKmsSettings } from '../../server/config/seals/awskms.ts';
import { isOwnMachine } from '../../server/config/seals/fields.ts';
import { createDial, type DialTls } from '../../server/http/dial.ts';
import type { Ask } from '../../server/seal/ask.ts';
import { awsCredentials, EC2 } from '../../server/seal/aws-identity.ts';
import { awsKms } from '../../server/seal/awskms.ts';
import { AZURE_METADATA } from '../../server/seal/azure-identity.ts';
import { azureKeyVault } from '../../server/seal/azurekeyvault.ts';
import { fileSeal } from '../../server/seal/file.ts';
import { gcpKms } from '../../server/seal/gcpckms.ts';
import { googleIdentity, googleMachine } from '../../server/seal/google-identity.ts';
import { type KeyService, sealOf } from '../../server/seal/keyservice.ts';
import { kubernetesSeal } from '../../server/seal/kubernetes.ts';
import { keepRenewed } from '../../server/seal/renewal.ts';
import type { AutoSeal, Seals } from '../../server/seal/seal.ts';
import { transitSeal } from '../../server/seal/transit.ts';
import { kubeSecret } from './kubesecret.ts';

interface World {
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface OpenSeals {
  readonly seals: Seals;
  /** Ends their requests and renewals; may be called again. */
  close(): void;
}

/**
 * Asks nobody yet, but for the renewal of tokens.
 * @throws Failure cli.unreadable, config.refused, kube.config where a file is wrong
 */
export async function openSeals({ active, retired }: SealsSettings, world: World): Promise<OpenSeals> {
  const open = async (settings: SealSettings | undefined): Promise<AutoSeal | undefined> =>
    settings && (await openSeal(settings, world));
  const [to, from] = [await open(active), await open(retired)];
  if (to?.caution !== undefined) world.log.warn(to.caution, { seal: to.type });
  return {
    seals: { ...(to === undefined ? {} : { active: to }), ...(from === undefined ? {} : { retired: from }) },
    close() {
      to?.close();
      from?.close();
    },
  };
}

async function openSeal(settings: SealSettings, world: World): Promise<AutoSeal> {
  return settings.kind === 'transit'
    ? openTransit(settings, world, await tlsOf(settings))
    : sealOf(await keyServiceOf(settings, world.env));
}

async function keyServiceOf(
  settings: Exclude<SealSettings, TransitSettings>,
  env: World['env'],
): Promise<KeyService> {
  switch (settings.kind) {
    case 'awskms':
      return awsOf(settings);
    case 'gcpckms': {
      const { credentials, endpoint } = settings;
      const identity = credentials === undefined ? googleMachine : await googleIdentity(credentials);
      const ask = wayTo(
        credentials === undefined ? [endpoint] : [endpoint, ...identity.asks],
        credentials === undefined ? identity.asks : [],
      );
      return gcpKms({ ...settings, identity, ask });
    }
    case 'azurekeyvault': {
      const isMachine = settings.identity.kind === 'machine';
      const ask = wayTo([settings.vault, settings.authority], isMachine ? [AZURE_METADATA] : []);
      return azureKeyVault({ ...settings, ask });
    }
    case 'kubernetes': {
      const { secret, namespace } = kubeSecret(settings, env);
      return kubernetesSeal({ ...settings, namespace, secret });
    }
    case 'file':
      return fileSeal(settings);
  }
}

function awsOf(settings: AwsKmsSettings): KeyService {
  const { endpoint, region, identity } = settings;
  const machines = identity.kind === 'machine' ? [EC2] : identity.kind === 'agent' ? [identity.url] : [];
  const ask = wayTo([endpoint, ...(identity.kind === 'token' ? [identity.sts] : [])], machines);
  return awsKms({ ...settings, ask, credentials: awsCredentials(ask, region, identity) });
}

/**
 * A way that leads to the hosts and ports of these URLs.
 * @param machines URLs at which the machine's identity is given: they alone may be link-local, and stand here only where a
 *   line of the server's own file wants them
 */
function wayTo(urls: readonly string[], machines: readonly string[] = [], tls: DialTls = {}): Ask {
  const dialTo = (known: readonly string[], metadata: boolean) => {
    const all = known.map(whereOf);
    return createDial({
      target: (host, port) => ({
        host: isOwnMachine({ hostname: host }) ? loopback(host) : host,
        port,
      }),
      allow: ({ host, port }) => all.some((one) => one.host === host && one.port === port),
      tls,
      metadata,
    });
  };
  const [services, machine] = [dialTo(urls, false), dialTo(machines, true)];
  const origins = new Set(machines.map((url) => new URL(url).origin));
  return (request) => (origins.has(new URL(request.url).origin) ? machine(request) : services(request));
}

/** Names below "localhost" are this machine, also where no name service knows them (RFC 6761, section 6.3). */
const loopback = (host: string): string => (isIP(host) === 0 ? '127.0.0.1' : host);

function whereOf(text: string): { readonly host: string; readonly port: number } {
  const url = new URL(text);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
  };
}

function openTransit(settings: TransitSettings, { clock, log }: World, tls: DialTls): AutoSeal {
  const seal = transitSeal({ ...settings, ask: wayTo([settings.address], [], tls) });
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
