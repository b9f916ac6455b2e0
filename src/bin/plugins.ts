/** What can be mounted: the one list, for `holdfast server` and `holdfast dev` alike. */

import { aws } from '../engines/aws/index.ts';
import { cubbyhole } from '../engines/cubbyhole/index.ts';
import { custom } from '../engines/custom/index.ts';
import type { Locate } from '../engines/database/driver.ts';
import { drivers } from '../engines/database/drivers/index.ts';
import { database } from '../engines/database/index.ts';
import { kubernetesTokens } from '../engines/kubernetes/index.ts';
import { kv } from '../engines/kv/index.ts';
import type { Probes } from '../engines/pki/acme/probes.ts';
import { pki } from '../engines/pki/index.ts';
import { ssh } from '../engines/ssh/index.ts';
import { totp } from '../engines/totp/index.ts';
import { transit } from '../engines/transit/index.ts';
import { approle } from '../methods/approle/index.ts';
import { cert } from '../methods/cert/index.ts';
import { jwt, oidc } from '../methods/jwt/index.ts';
import { kubernetes, type ReadLocal } from '../methods/kubernetes/index.ts';
import { userpass } from '../methods/userpass/index.ts';
import type { PluginType } from '../plugin/plugin.ts';
import { openSocket } from './databases.ts';

/**
 * @param readLocal reads what the pod that this runs in was given; absent outside of one
 * @param locate finds databases and judges their addresses; absent: no database engine, for nobody would judge
 * @param env the environment that this runs in: a pod learns from it where its cluster is
 * @param probes looks at ACME challenges in the DNS and over TLS; absent: those challenges fail, saying so
 */
export const plugins = (
  readLocal?: ReadLocal,
  locate?: Locate,
  env: Readonly<Record<string, string | undefined>> = {},
  probes?: Probes,
): readonly PluginType[] => [
  aws,
  kv,
  cubbyhole,
  custom,
  ...(locate === undefined ? [] : [database(drivers(locate, openSocket))]),
  kubernetesTokens({ env, ...(readLocal === undefined ? {} : { readLocal }) }),
  pki(probes),
  ssh,
  totp,
  transit,
  approle,
  cert,
  jwt,
  oidc,
  kubernetes(readLocal === undefined ? {} : { readLocal }),
  userpass,
];
