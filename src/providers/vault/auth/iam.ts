/**
 * `auth.iam`: a request that asks AWS who signed it, signed here and sent by the server. What is shown is no key, and good
 * for some minutes.
 */

import { base64, utf8 } from '../../../base/bytes.ts';
import { askOr, lacking, type Method, mountOf } from './login.ts';
import type { Given } from './spec.ts';

/** Upstream's, by which trails know these sessions. */
const WEB_SESSION = 'external-secrets-provider-vault';
const SERVER_HEADER = 'x-vault-aws-iam-server-id';

/** @throws Failure provider.*, operator.ref_*; api.* where the server is not to be reached */
export const byIam: Method<Given<'iam'>> = async (given, at) => {
  const { path, region, role, externalID, vaultAwsIamServerID: serverId, secretRef, jwt } = given;
  const { clouds, env } = at;
  if (clouds.aws === undefined) throw lacking('iam', env);
  const mount = mountOf(path);
  const vaultRole = given.vaultRole.trim();
  const signed = await clouds.aws(
    {
      region,
      auth: { secretRef, jwt },
      role,
      externalID,
      headers: serverId === '' ? {} : { [SERVER_HEADER]: serverId },
      webSession: WEB_SESSION,
      field: 'auth.iam',
    },
    env,
  );
  const inBase64 = (text: string): string => base64(utf8(text));
  const header = serverId === '' ? 'wants no server id' : `has iam_server_id_header_value ${serverId}`;
  return await askOr(
    `Check that auth/${mount} is enabled, that its role ${JSON.stringify(vaultRole)} is bound to this principal of AWS, that its sts_endpoint and sts_region are those of ${region} and that it ${header}, and that the clock of the operator is right.`,
    at,
    {
      mount,
      body: {
        role: vaultRole,
        iam_http_request_method: signed.method,
        iam_request_url: inBase64(signed.url),
        iam_request_headers: inBase64(JSON.stringify(signed.headers)),
        iam_request_body: inBase64(signed.body),
      },
    },
  );
};
