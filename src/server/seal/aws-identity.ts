/** As whom AWS is asked: by keys of the configuration, by a token in a file, or by what the machine is given. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { textOf } from '../../base/bytes.ts';
import { type Answer, type Ask, trouble, verdictOf } from './ask.ts';
import { type AwsCredentials, asked, clientConfig } from './aws-client.ts';
import { AWSKMS } from './awskms.ts';

export type AwsIdentity =
  | {
      readonly kind: 'keys';
      readonly accessKey: string;
      readonly secretKey: string;
      readonly sessionToken: string;
    }
  /** A service account's token is given for the credentials of a role: IRSA on EKS. */
  | {
      readonly kind: 'token';
      readonly file: string;
      readonly role: string;
      readonly session: string;
      readonly sts: string;
    }
  /** An agent of EKS or ECS beside the server, which has the role's credentials. */
  | { readonly kind: 'agent'; readonly url: string; readonly tokenFile: string; readonly token: string }
  /** The role of the EC2 machine. */
  | { readonly kind: 'machine' };

export const EC2 = 'http://169.254.169.254';
const TIMEOUT_MS = 3000;

/** Makes what gives the credentials; the client asks anew before they end. @throws Failure seal.unreachable, seal.refused */
export function awsCredentials(
  ask: Ask,
  region: string,
  identity: AwsIdentity,
): () => Promise<AwsCredentials> {
  switch (identity.kind) {
    case 'keys': {
      const { accessKey: accessKeyId, secretKey: secretAccessKey, sessionToken } = identity;
      const keys = { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
      return async () => keys;
    }
    case 'token':
      return () => byToken(ask, region, identity);
    case 'agent':
      return () => byAgent(ask, identity);
    case 'machine':
      return () => byMachine(ask);
  }
}

async function byToken(
  ask: Ask,
  region: string,
  { file, role, session, sts: endpoint }: Extract<AwsIdentity, { kind: 'token' }>,
): Promise<AwsCredentials> {
  const WebIdentityToken = await tokenIn(file);
  const { STS } = await import('./awskms-sdk.ts');
  const sts = new STS(
    clientConfig(ask, endpoint, region, async () => ({ accessKeyId: '', secretAccessKey: '' })),
  );
  const request = sts.assumeRoleWithWebIdentity({
    RoleArn: role,
    RoleSessionName: session,
    WebIdentityToken,
  });
  const { Credentials } = await asked(AWSKMS, request, { hidden: false, canLose: false });
  const {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken,
    Expiration,
  } = Credentials ?? {};
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw trouble(AWSKMS, 'refused', 'the answer of STS holds no credentials');
  return {
    accessKeyId,
    secretAccessKey,
    ...(SessionToken === undefined ? {} : { sessionToken: SessionToken }),
    ...(Expiration === undefined ? {} : { expiration: Expiration }),
  };
}

/** What EC2's metadata and the agents of ECS and EKS answer alike. */
const given = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1),
  Expiration: z.iso.datetime({ offset: true }),
});

async function byAgent(
  ask: Ask,
  { url, tokenFile, token }: Extract<AwsIdentity, { kind: 'agent' }>,
): Promise<AwsCredentials> {
  const authorization = tokenFile === '' ? token : await tokenIn(tokenFile);
  const headers = authorization === '' ? {} : { authorization };
  return credentialsIn(await plain(ask, 'GET', url, headers));
}

/** By the second version of EC2's metadata service, which wants a token first: a page that is led there cannot send one. */
async function byMachine(ask: Ask): Promise<AwsCredentials> {
  const made = await plain(ask, 'PUT', `${EC2}/latest/api/token`, {
    'x-aws-ec2-metadata-token-ttl-seconds': '60',
  });
  const headers = { 'x-aws-ec2-metadata-token': (textOf(made.body) ?? '').trim() };
  const roles = `${EC2}/latest/meta-data/iam/security-credentials/`;
  const [role = ''] = (textOf((await plain(ask, 'GET', roles, headers)).body) ?? '').trim().split('\n');
  if (!/^[\w+=,.@-]{1,64}$/.test(role)) throw trouble(AWSKMS, 'refused', 'this machine has no role');
  return credentialsIn(await plain(ask, 'GET', roles + role, headers));
}

async function plain(
  ask: Ask,
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const signal = new AbortController().signal;
  const answer = await ask({ url, method, headers, timeoutMs: TIMEOUT_MS, signal }).catch(
    (error: unknown) => {
      throw trouble(AWSKMS, 'away', 'no connection to what gives this machine its identity', error);
    },
  );
  if (answer.status === 200) return answer;
  throw trouble(
    AWSKMS,
    verdictOf(answer.status),
    `what gives this machine its identity answers HTTP ${answer.status}`,
  );
}

function credentialsIn({ body }: Answer): AwsCredentials {
  let read: unknown;
  try {
    read = JSON.parse(textOf(body) ?? '');
  } catch {
    // Told as an answer without anything in it.
  }
  const { success, data } = given.safeParse(read);
  if (!success) throw trouble(AWSKMS, 'refused', 'what gives this machine its identity gave no credentials');
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken } = data;
  return { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(data.Expiration) };
}

/** Read again each time: the kubelet renews it. */
async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text.trim() === '') throw trouble(AWSKMS, 'refused', 'the file with its token is missing or empty');
  return text.trim();
}
