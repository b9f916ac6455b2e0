/**
 * Tokens for tokens: the exchange of RFC 8693 as Google's services take it, and the token of a service account for who may
 * impersonate it. Asked here and not by Google's library, which asks for these by a way of its own.
 */

import { z } from 'zod';
import type { WebRequest } from '../base/web.ts';
import { impersonationUrl, signingUrl } from './endpoints.ts';
import { CLOUD_PLATFORM, type GoogleToken } from './token.ts';
import { type GoogleWay, jsonIn, loginFailure, send } from './transport.ts';

const TYPES = 'urn:ietf:params:oauth:token-type';
export const JWT_TYPE = `${TYPES}:jwt`;
const JSON_BODY = { 'content-type': 'application/json' };
const FORM_BODY = { 'content-type': 'application/x-www-form-urlencoded' };
/** What a token is taken to live for where nothing says it. */
const SHORTEST_SECONDS = 600;

/** What goes into a header: anything else would be another header, or an error that quotes it. */
const token = z.string().regex(/^[\x21-\x7e]+$/);
const exchangedToken = z.object({
  access_token: token,
  expires_in: z.number().positive().default(SHORTEST_SECONDS),
});
const generatedToken = z.object({ accessToken: token, expireTime: z.iso.datetime({ offset: true }) });
const signedToken = z.object({ signedJwt: token });

/** A service that trades tokens: the standard's wants a form, GKE's wants JSON. */
export interface Exchange {
  readonly url: string;
  readonly takes: 'form' | 'json';
}

export interface Subject {
  readonly token: string;
  /** `JWT_TYPE`, or another of the kind. */
  readonly type: string;
}

/**
 * A token of Google's for one of another issuer.
 * @param now milliseconds since the epoch
 * @throws Failure provider.login, provider.read, dial.*
 */
export async function exchanged(
  way: GoogleWay,
  { url, takes }: Exchange,
  subject: Subject,
  audience: string,
  now: () => number,
): Promise<GoogleToken> {
  const members = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    requested_token_type: `${TYPES}:access_token`,
    subject_token_type: subject.type,
    subject_token: subject.token,
    audience,
    scope: CLOUD_PLATFORM,
  };
  const told = await asked(
    way,
    {
      url,
      method: 'POST',
      ...(takes === 'json'
        ? { headers: JSON_BODY, body: JSON.stringify(members) }
        : { headers: FORM_BODY, body: new URLSearchParams(members).toString() }),
    },
    exchangedToken,
  );
  return { value: told.access_token, expiresAt: now() + told.expires_in * 1000 };
}

/**
 * A token of a service account. @param url where it is asked for; see `impersonationUrl`
 * @throws Failure provider.login, provider.read, dial.*
 */
export async function impersonated(way: GoogleWay, url: string, by: GoogleToken): Promise<GoogleToken> {
  const headers = { ...JSON_BODY, authorization: `Bearer ${by.value}` };
  const body = JSON.stringify({ scope: [CLOUD_PLATFORM] });
  const mend =
    'Let this identity use the service account of Google that it names: the role roles/iam.workloadIdentityUser on it.';
  const told = await asked(way, { url, method: 'POST', headers, body }, generatedToken, mend);
  return { value: told.accessToken, expiresAt: Date.parse(told.expireTime) };
}

/** The same, by the account's address; undefined: the token stays what it is. */
export const impersonatedIf = async (
  way: GoogleWay,
  account: string | undefined,
  by: GoogleToken,
): Promise<GoogleToken> =>
  account === undefined || account === '' ? by : impersonated(way, impersonationUrl(account), by);

/**
 * Claims that a service account signs for who asks with a token of it, by a key that Google keeps.
 * @param by a token of the account itself
 * @throws Failure provider.login, provider.read, dial.*
 */
export async function signedBy(
  way: GoogleWay,
  account: string,
  claims: Readonly<Record<string, string | number>>,
  by: GoogleToken,
): Promise<string> {
  const headers = { ...JSON_BODY, authorization: `Bearer ${by.value}` };
  const body = JSON.stringify({ payload: JSON.stringify(claims) });
  const mend = `Let ${account} sign for itself: the role roles/iam.serviceAccountTokenCreator on itself, and the IAM Service Account Credentials API enabled in its project.`;
  const told = await asked(
    way,
    { url: signingUrl(account), method: 'POST', headers, body },
    signedToken,
    mend,
  );
  return told.signedJwt;
}

async function asked<T>(
  way: GoogleWay,
  request: WebRequest,
  schema: z.ZodType<T>,
  mend?: string,
): Promise<T> {
  const answer = await send(way, request);
  const { success, data } = schema.safeParse(jsonIn(answer.body));
  if (answer.status !== 200 || !success) throw loginFailure(way.store, answer, mend);
  return data;
}
