/** `auth.gcp`: a JWT that a service account of Google signed, for the role alone. */

import { askOr, lacking, type Method, mountOf } from './login.ts';
import type { Given } from './spec.ts';

/** @throws Failure provider.*, operator.ref_*; api.* where the server is not to be reached */
export const byGcp: Method<Given<'gcp'>> = async (given, at) => {
  const { clouds, client, env } = at;
  if (clouds.google === undefined) throw lacking('gcp', env);
  const mount = mountOf(given.path);
  const role = given.role.trim();
  const { secretRef, projectID, serviceAccountRef } = given;
  const audience = `vault/${role}`;
  const jwt = await clouds.google(
    {
      secretRef,
      // Upstream logs in as the operator where an account is named alone, which would let each tenant be it: here it is
      // the account that was named, on the cluster that the operator runs on.
      workloadIdentity:
        given.workloadIdentity ??
        (serviceAccountRef === undefined
          ? undefined
          : { serviceAccountRef, clusterLocation: '', clusterName: '', clusterProjectID: '' }),
      projectID,
      audience,
      machineAudience: `${client.address}/${audience}`,
      field: 'auth.gcp',
    },
    env,
  );
  return await askOr(
    `Check that auth/${mount} is enabled, and that its role ${JSON.stringify(role)} is bound to this service account of Google.`,
    at,
    { mount, body: { role, jwt } },
  );
};
