/**
 * The PKI engine, as the Vault HTTP API has it: authorities, roles, certificates, revocation lists and OCSP. What a certificate
 * shall be is decided in `issuing.ts` and `allowed.ts`, without I/O; where things lie is told in `store.ts`. ASN.1 is read
 * and written in `der.ts` alone, and what comes from outside is never spliced into what is signed.
 *
 * Private keys leave only where an operation is called so: `exported`, and `issue`, which keeps none.
 */

import { failure } from '../../base/errors.ts';
import { bagOf } from '../../base/shape.ts';
import type { PluginType } from '../../plugin/plugin.ts';
import { Accounts } from './acme/accounts.ts';
import type { Probes } from './acme/probes.ts';
import { sweepOrders } from './acme/tidying.ts';
import { Validator } from './acme/validator.ts';
import { refreshLists } from './lists.ts';
import { revokeStored } from './revoking.ts';
import { acmeRoutes } from './routes/acme.ts';
import { acmeConfigRoutes } from './routes/acmeconfig.ts';
import { certRoutes } from './routes/certs.ts';
import { configRoutes } from './routes/config.ts';
import { issueRoutes } from './routes/issue.ts';
import { issuerRoutes } from './routes/issuers.ts';
import { keyRoutes } from './routes/keys.ts';
import { revokeRoutes } from './routes/revoke.ts';
import { roleRoutes } from './routes/roles.ts';
import { rootRoutes } from './routes/roots.ts';
import { listSigningRoutes } from './routes/signlists.ts';
import { tidyRoutes } from './routes/tidy.ts';
import { PkiStore } from './store.ts';
import { Tidier } from './tidying.ts';

/** How often orders that came to nothing are looked for, in milliseconds. */
const SWEEP_MS = 3_600_000;

/** @param probes what looks at ACME challenges in the DNS and over TLS; absent: those challenges fail, saying so */
export const pki = (probes?: Probes): PluginType => ({
  name: 'pki',
  kind: 'secret',
  create(mount) {
    const store = new PkiStore(mount);
    const accounts = new Accounts(mount, store);
    const tidier = new Tidier(mount, store, accounts);
    const validator = new Validator(mount, store, probes);
    let resumed = false;
    let sweepAt = 0;
    return {
      routes: [
        ...rootRoutes(mount, store),
        ...issuerRoutes(mount, store),
        ...keyRoutes(store),
        ...configRoutes(store),
        ...roleRoutes(mount, store),
        ...issueRoutes(mount, store),
        ...certRoutes(store),
        ...revokeRoutes(store),
        ...listSigningRoutes(store),
        ...tidyRoutes(mount, store, tidier),
        ...acmeRoutes(mount, store, accounts, validator),
        ...acmeConfigRoutes(mount, store),
      ],
      leases: {
        certificate: {
          renew() {
            throw failure('pki.request', { reason: 'a certificate cannot be renewed: ask for a new one' });
          },
          async revoke(state) {
            const { serial } = bagOf(state);
            // Nothing is stored where the process died before it was signed, or after it ended.
            if (typeof serial === 'string') await revokeStored(store, serial);
          },
        },
      },
      async close() {
        await Promise.all([tidier.close(), validator.close()]);
      },
      async tick() {
        if (!resumed) await validator.resume();
        resumed = true;
        if (store.now() >= sweepAt) {
          await sweepOrders(store);
          sweepAt = store.now() + SWEEP_MS;
        }
        const [lists, tidying] = [await refreshLists(store), await tidier.tick()];
        return new Date(Math.min(lists, tidying ?? lists));
      },
    };
  },
});
