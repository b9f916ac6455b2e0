/**
 * The SSH engine, as the Vault HTTP API has it, in its two modes: an authority that signs the public keys of users and hosts
 * (`sign`, `issue`), and passwords that open one login each (`creds`, which a helper on the host asks `verify` about). What a
 * role lets its callers have is decided in `allowed.ts` and `hosts.ts`; how a certificate is made is told in `src/crypto/ssh`.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { otpLeases } from './otp.ts';
import { caRoutes } from './routes/ca.ts';
import { otpRoutes } from './routes/otp.ts';
import { roleRoutes } from './routes/roles.ts';
import { signRoutes } from './routes/sign.ts';
import { zeroAddressRoutes } from './routes/zeroaddress.ts';
import { SshStore } from './store.ts';

export const ssh: PluginType = {
  name: 'ssh',
  kind: 'secret',
  create(mount) {
    const store = new SshStore(mount);
    return {
      routes: [
        ...caRoutes(store),
        ...roleRoutes(store),
        ...signRoutes(mount, store),
        ...otpRoutes(mount, store),
        ...zeroAddressRoutes(store),
      ],
      leases: { otp: otpLeases(store) },
    };
  },
};
