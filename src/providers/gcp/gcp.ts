/** The Google provider: Secret Manager by its REST API, as upstream's stores describe it. */

import { failure } from '../../base/errors.ts';
import { type Endpoints, endpointOf } from '../../gcp/endpoints.ts';
import type { MachineFacts, TokenSource } from '../../gcp/token.ts';
import { googleTokens } from '../../gcp/tokens.ts';
import type { Provider, ProviderEnv, ProviderType } from '../../provider/provider.ts';
import { secretManager } from './client.ts';
import { createSecrets } from './secrets.ts';
import { type GcpSpec, gcpSpec } from './spec.ts';
import { createWriter } from './writer.ts';

export interface GcpOptions {
  /** Other endpoints than Google's, by the operator's own settings; see `endpointsFrom`. */
  readonly endpoints?: Endpoints;
  /**
   * Whether stores that name no identity may have the operator's own, found as Google's library finds it. Whoever may write a
   * store then reads what the operator may: only for clusters that are one tenant.
   */
  readonly lendOwnKeys?: boolean;
  /** What the operator's machine says of its project and cluster, where it may be asked; see `googleMachine`. */
  readonly machine?: MachineFacts;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The provider `gcpsm`. */
export const createGcpProvider = (options: GcpOptions = {}): ProviderType<GcpSpec> => ({
  name: 'gcpsm',
  spec: gcpSpec as ProviderType<GcpSpec>['spec'],
  connect: (spec, env) => connect(spec, env, options),
});

async function connect(spec: GcpSpec, env: ProviderEnv, options: GcpOptions): Promise<Provider> {
  const { endpoints = () => undefined, lendOwnKeys = false, machine, now = Date.now } = options;
  const projectID = await projectOf(spec, env.store, machine);
  const source = await googleTokens(spec.auth, env, { endpoints, lendOwnKeys, machine, projectID, now });
  let ends: number | undefined;
  const token: TokenSource = async () => {
    const lent = await source();
    ends = lent.expiresAt;
    return lent;
  };
  const { location } = spec;
  const call = secretManager({
    way: { store: env.store, dial: env.wayOut.dial, endpoints },
    base: endpointOf('secretmanager', location),
    token,
    retry: env.retry,
  });
  const context = {
    call,
    env,
    parent: location === '' ? `projects/${projectID}` : `projects/${projectID}/locations/${location}`,
    isRegional: location !== '',
    fetchesEnabled: spec.secretVersionSelectionPolicy === 'LatestOrFetch',
  };
  return {
    ...createSecrets(context),
    ...createWriter(context),
    /** Whether there is a token to be had, as upstream asks; what it may read is Google's to say at each read. */
    async validate() {
      await token();
      return 'ready';
    },
    endsAt: () => ends,
    async close() {},
  };
}

/** @throws Failure provider.spec */
async function projectOf(
  { auth, projectID }: GcpSpec,
  store: string,
  machine: MachineFacts | undefined,
): Promise<string> {
  if (projectID !== '') return projectID;
  const ofCluster = auth.workloadIdentity?.clusterProjectID ?? '';
  // A key may be of any project: the machine's would be a guess.
  const ofMachine = auth.secretRef === undefined ? await machine?.('project') : undefined;
  const project = ofCluster === '' ? (ofMachine ?? '') : ofCluster;
  if (/^[A-Za-z0-9.:-]*[A-Za-z0-9][A-Za-z0-9.:-]*$/.test(project)) return project;
  throw failure('provider.spec', {
    store,
    reason: 'unable to find ProjectID in storeSpec: spec.provider.gcpsm.projectID is missing',
  });
}
