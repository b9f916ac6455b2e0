/** The operator of `holdfast dev`, under an account of its own: it holds the rights of `deploy/`, not those of the admin. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { createKube } from '../../kube/client.ts';
import { createOperator } from '../../operator/operator.ts';
import type { Operator } from '../../operator/options.ts';
import type { Subscribe } from '../../operator/push.ts';
import { createRendering } from '../../operator/rendering.ts';
import { clusterJudge, type EgressRules, type WayOut, webJudge } from '../../provider/egress.ts';
import { createDial } from '../../server/http/dial.ts';
import { generators } from '../operator/generators.ts';
import { hearing } from '../operator/hearing.ts';
import { providers } from '../operator/providers.ts';
import type { Home } from './home.ts';
import { accountToken, OPERATOR } from './kubernetes.ts';
import { isLoopback } from './network.ts';
import type { HostPort } from './options.ts';
import type { Platform } from './platform.ts';
import { EVENTS_ROLE } from './vault.ts';

const TOKEN_SECONDS = 3600;

/** Starts it; `ended` resolves when what it had begun is done, after the signal. */
export async function startOperator(
  platform: Platform,
  home: Home,
  log: Log,
  signal: AbortSignal,
): Promise<{ readonly operator: Operator; ended(): Promise<void> }> {
  const { kube: admin, api, resolve, tracer } = platform;
  const renew = async (): Promise<string> =>
    home.write('operator-token', await accountToken(admin, OPERATOR, undefined, TOKEN_SECONDS));
  const tokenFile = await renew();
  const renewal = setInterval(
    () =>
      void renew().catch((error: unknown) =>
        log.warn('the token of the operator was not renewed', { error }),
      ),
    (TOKEN_SECONDS * 1000) / 2,
  );
  const kube = createKube({ server: api.url, ca: api.caPem, tokenFile });
  const operator = createOperator({
    kube,
    providers: providers({ env: process.env }),
    generators: generators({ env: process.env }),
    wayOut: wayOut(platform),
    clock: systemClock,
    log: log.with({ program: 'operator' }),
    random: Math.random,
    resolve,
    subscribe: hearingOf(platform),
    envOf: createRendering({ seed: await renderingSeed(home) }),
    ...(tracer === undefined ? {} : { tracer }),
  });
  const running = operator.start(signal);
  await operator.ready(signal);
  return {
    operator,
    async ended() {
      clearInterval(renewal);
      await running;
      kube.close();
    },
  };
}

/** Where stores may lead: on this machine only to our own server and to what a Service or --resolve put there. */
function wayOut(platform: Platform): WayOut {
  const { api, resolve } = platform;
  const isCluster: EgressRules['isCluster'] = ({ host, port, ip }) =>
    isLoopback(ip) && resolve(host, port).port === api.port;
  const rules: EgressRules = {
    isCluster,
    allowed: (at) => isPlaced(platform, at) && !isCluster(at),
  };
  return {
    dial: createDial({ target: resolve, allow: webJudge(rules) }),
    mayReach: webJudge(rules),
    mayReachCluster: clusterJudge(rules),
  };
}

/** Random bytes in templates stay the same over restarts, so that no Secret changes by them. */
async function renderingSeed(home: Home): Promise<Uint8Array> {
  const kept = await readFile(home.path('rendering-seed')).catch(() => undefined);
  if (kept !== undefined && kept.length === 64) return Buffer.from(kept.toString('utf8'), 'hex');
  const made = randomBytes(32);
  await home.write('rendering-seed', made.toString('hex'));
  return made;
}

/** Our own server, or what was found elsewhere than by its own name: a Service or --resolve put it there, which no store can. */
const isPlaced = ({ listener, resolve }: Platform, { host, port }: HostPort): boolean =>
  resolve(host, port).ca !== undefined || (isLoopback(host) && port === listener.address.port);

/** The operator's own login, which may subscribe and nothing else, for servers that stand on this machine. */
const hearingOf = (platform: Platform): Subscribe =>
  hearing({
    isKnown(server) {
      const { hostname, port, protocol } = new URL(server);
      const host = hostname.replace(/^\[|\]$/g, '');
      return isPlaced(platform, { host, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
    },
    mount: 'kubernetes',
    role: EVENTS_ROLE,
    jwt: () => accountToken(platform.kube, OPERATOR, 'vault', 600),
    resolve: platform.resolve,
  });
