/** The operator of `holdfast dev`, under an account of its own: it holds the rights of `deploy/`, not those of the admin. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { loginKubernetes } from '../../client/auth.ts';
import { VaultClient } from '../../client/client.ts';
import { subscribe } from '../../client/events.ts';
import { createKube } from '../../kube/client.ts';
import { createOperator, type Operator } from '../../operator/operator.ts';
import type { Subscribe } from '../../operator/push.ts';
import { createRendering } from '../../operator/rendering.ts';
import { clusterJudge, type EgressRules, type WayOut, webJudge } from '../../provider/egress.ts';
import { createDial } from '../../server/http/dial.ts';
import { providers } from '../operator/providers.ts';
import type { Home } from './home.ts';
import { accountToken, OPERATOR } from './kubernetes.ts';
import { isLoopback } from './network.ts';
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
  const { kube: admin, api, resolve } = platform;
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
    wayOut: wayOut(platform),
    clock: systemClock,
    log: log.with({ program: 'operator' }),
    random: Math.random,
    resolve,
    subscribe: subscribing(platform),
    envOf: createRendering({ seed: await renderingSeed(home) }),
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

/** Where stores may lead: on this machine only to what a Service or --resolve put there, which no store can. */
function wayOut({ api, resolve }: Platform): WayOut {
  const isCluster: EgressRules['isCluster'] = ({ host, port, ip }) =>
    isLoopback(ip) && resolve(host, port).port === api.port;
  const rules: EgressRules = {
    isCluster,
    // What was found elsewhere than by its own name was put there by a Service or --resolve.
    allowed: (at) => resolve(at.host, at.port).ca !== undefined && !isCluster(at),
  };
  return {
    dial: createDial({ target: resolve, allow: webJudge(rules) }),
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

/** Hears of changes under the operator's own login, which may subscribe and nothing else. */
function subscribing({ kube, resolve }: Platform): Subscribe {
  return async function* (server, { after, signal, opened }) {
    const bare = new VaultClient({ address: server, resolve, retries: 0 });
    try {
      const jwt = await accountToken(kube, OPERATOR, 'vault', 600);
      const { clientToken } = await loginKubernetes(bare, { role: EVENTS_ROLE, jwt }, { signal });
      yield* subscribe(bare.with({ token: clientToken }), { type: '*', after, signal, opened });
    } finally {
      bare.close();
    }
  };
}
