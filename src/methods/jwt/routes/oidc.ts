/**
 * `oidc/`: a login through the browser, from the address it is sent to until it comes back. All of it is open to anybody:
 * nothing here is stored, and what is kept in memory is bounded (pending.ts).
 */

import { z } from 'zod';
import { sameSecret } from '../../../base/bytes.ts';
import { inCidrs } from '../../../base/cidr.ts';
import { type Failure, failure, isFailure } from '../../../base/errors.ts';
import { type Call, type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import type { Claims } from '../../jws.ts';
import { refused } from '../claims.ts';
import { isImplicit, isOidc, type Stored, theConfig } from '../config.ts';
import { authorizationUrl, checkedIdToken, claimsOfCode, granted } from '../flow.ts';
import { confirmPage, donePage, failedPage, receivedPage } from '../page.ts';
import type { Judged, Pending, PendingLogins } from '../pending.ts';
import { isAllowedRedirect } from '../redirect.ts';
import { type NamedRole, roleFor } from '../role.ts';
import type { Trust } from '../trusted.ts';

const DEFAULT_POLL_S = 5;
/** What a client that got the code through another way sends in its stead. */
const NO_CODE = 'no_code';
/** RFC 6749 section 4.1.2.1. */
const ERRORS: ReadonlySet<string> = new Set([
  'invalid_request',
  'unauthorized_client',
  'access_denied',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
]);

const short = (most: number) => z.string().max(most).nullish();

const answered = z.object({
  state: short(512),
  code: short(4096),
  id_token: short(16 * 1024),
  client_nonce: short(256),
  error: short(256),
  error_description: short(2048),
  /** RFC 9207. */
  iss: short(2048),
  confirmation: short(16),
});
type Answered = z.output<typeof answered>;

export function oidcRoutes(mount: Mount, trust: Trust, logins: PendingLogins): Route[] {
  return [
    {
      path: 'oidc/auth_url',
      access: 'public',
      operations: { write: authUrl(mount, trust, logins) },
    },
    {
      path: 'oidc/callback',
      access: 'public',
      operations: {
        read: operation({
          summary: 'Complete a login with what the provider sent the browser back with.',
          input: answered,
          output: z.object({}),
          effect: 'write',
          run: (given, call) => callback(mount, trust, logins, given, call),
        }),
        write: operation({
          summary: 'Take what the provider posted (form_post); a read completes the login.',
          input: answered,
          output: z.object({}),
          effect: 'write',
          run: (given) => posted(mount, trust, logins, given),
        }),
      },
    },
    {
      path: 'oidc/poll',
      access: 'public',
      operations: {
        write: operation({
          summary: 'Ask whether a login that came back to the server is complete.',
          input: z.object({ state: short(512), client_nonce: short(256) }),
          output: z.object({}),
          effect: 'write',
          run: (given, call) => poll(mount, logins, given, call),
        }),
      },
    },
  ];
}

/** Strangers learn of most mistakes only that there is no address; the log says why. */
const authUrl = (mount: Mount, trust: Trust, logins: PendingLogins) =>
  operation({
    summary: 'Begin a login: get the address that the browser is sent to.',
    input: z.object({ role: short(512), redirect_uri: short(2048), client_nonce: short(256) }),
    output: z.object({
      auth_url: z.string(),
      state: z.string().optional(),
      poll_interval: z.string().optional(),
    }),
    effect: 'write',
    async run({ role: given, redirect_uri: redirectUri, client_nonce: clientNonce }, call) {
      const stored = await theConfig(mount.storage);
      const { config } = stored;
      if (!isOidc(config)) throw failure('jwt.not_oidc');
      const { name, role } = await roleFor(mount, given, config.defaultRole);
      const direct = role.callbackMode === 'direct';
      if (direct && !clientNonce) throw refused('missing client_nonce');
      if (!redirectUri) throw refused('missing redirect_uri');
      const nothing = (reason: string): Reply<{ auth_url: string }> => {
        mount.log.warn('a login was not begun', { role: name, remote: call.remote.address, reason });
        return { data: { auth_url: '' } };
      };
      if (!isAllowedRedirect(redirectUri, role.redirectUris)) return nothing('unauthorized redirect_uri');
      let endpoint: string | undefined;
      try {
        endpoint = (await trust.of(stored).provider?.describe())?.authorization;
      } catch (error) {
        if (!isFailure(error, 'jwt.provider')) throw error;
        return nothing(error.message);
      }
      if (!endpoint) return nothing('the discovery document names no authorization_endpoint');

      const login = {
        roleName: name,
        redirectUri,
        nonce: logins.secret(),
        verifier: isImplicit(config) ? '' : logins.secret(),
        clientNonce: clientNonce ?? '',
        revision: stored.revision,
        requester: call.remote.address,
      };
      const state = logins.begin(login);
      const interval = String(role.pollInterval || DEFAULT_POLL_S);
      return {
        data: {
          auth_url: authorizationUrl(endpoint, config, role, { ...login, state }),
          ...(direct ? { state, poll_interval: interval } : {}),
        },
      };
    },
  });

async function callback(
  mount: Mount,
  trust: Trust,
  logins: PendingLogins,
  given: Answered,
  call: Call,
): Promise<Reply<Record<string, never>>> {
  const stored = await theConfig(mount.storage);
  const reply = await logins.complete(given.state ?? '', (login) =>
    completed(mount, trust, stored, login, given, call),
  );
  if (reply === undefined) throw expired();
  return reply;
}

async function completed(
  mount: Mount,
  trust: Trust,
  stored: Stored,
  login: Pending,
  given: Answered,
  call: Call,
): Promise<Judged<Reply<Record<string, never>>>> {
  if (login.revision !== stored.revision) throw expired();
  const found = await roleOf(mount, login);
  const direct = found.role.callbackMode === 'direct';
  try {
    checkAnswer(mount, stored, given);
    if (direct && !found.role.unconfirmed && !given.confirmation) {
      const asks = confirmPage({ requester: login.requester, role: found.name, answer: sentAgain(given) });
      return { reply: asks, left: login };
    }
    if (!direct) checkClientNonce(login, given.client_nonce);
    if (!inCidrs(call.remote.address, found.role.token.boundCidrs)) throw failure('request.denied');
    const claims = await claimsFor(mount, trust, stored, found, login, given.code ?? '');
    const grant = granted(mount, found, claims);
    return direct ? { reply: donePage(), left: { ...login, granted: grant } } : { reply: { auth: grant } };
  } catch (error) {
    if (!isFailure(error)) throw error;
    const told = error.code === 'jwt.refused' ? failed(error.message) : error;
    mount.log.warn('a login was refused', {
      role: found.name,
      remote: call.remote.address,
      reason: error.message,
    });
    if (direct) return { reply: failedPage(told.message) };
    throw told;
  }
}

/** What the answer to the authorization request says beside its code. @throws Failure jwt.refused */
function checkAnswer(mount: Mount, { config }: Stored, given: Answered): void {
  const error = (given.error ?? '').trim().toLowerCase();
  if (error !== '') {
    mount.log.warn('the identity provider refused a login', {
      error: printable(error),
      description: printable(given.error_description ?? ''),
    });
    throw refused(
      ERRORS.has(error)
        ? error
        : 'An unknown error occurred during OIDC authentication. Check server logs for details',
    );
  }
  // RFC 9207 section 2.4: an answer of another issuer must not be taken, or its code would go to the wrong provider.
  if (given.iss && given.iss !== config.discoveryUrl) throw refused('the answer is of another issuer');
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);

/** Who completes a login must be who began it: else a stranger could finish theirs in somebody else's client. */
function checkClientNonce(login: Pending, given: string | null | undefined): void {
  if (!sameSecret(given ?? '', login.clientNonce)) throw refused('invalid client_nonce');
}

async function claimsFor(
  mount: Mount,
  trust: Trust,
  stored: Stored,
  found: NamedRole,
  login: Pending,
  sent: string,
): Promise<Claims> {
  const code = sent === '' || sent === NO_CODE ? (login.posted?.code ?? '') : sent;
  if (code === '' || login.verifier === '') {
    const idToken = login.posted?.idToken;
    if (idToken === undefined) throw refused('No code or id_token received.');
    return idToken.claims;
  }
  try {
    return await claimsOfCode(mount, trust.of(stored), found.role, login, code);
  } catch (error) {
    if (!isFailure(error, 'jwt.refused') && !isFailure(error, 'jwt.provider')) throw error;
    throw refused(`Error exchanging oidc code: ${JSON.stringify(error.message)}.`);
  }
}

/** An ID token is judged before it is kept: what waits in memory is only what the provider signed for this login. */
async function posted(
  mount: Mount,
  trust: Trust,
  logins: PendingLogins,
  given: Answered,
): Promise<Reply<Record<string, never>>> {
  const stored = await theConfig(mount.storage);
  if (stored.config.responseMode !== 'form_post') throw failure('request.unsupported');
  const gone = failedPage(expired().message);
  const reply = await logins.complete(given.state ?? '', async (login) => {
    if (login.posted !== undefined || login.revision !== stored.revision) return { reply: gone, left: login };
    try {
      checkAnswer(mount, stored, given);
      const { role } = await roleOf(mount, login);
      const trusted = trust.of(stored);
      const idToken =
        login.verifier === '' && given.id_token
          ? await checkedIdToken(mount, trusted, role, login, given.id_token)
          : undefined;
      return { reply: receivedPage(), left: { ...login, posted: { code: given.code ?? '', idToken } } };
    } catch (error) {
      if (!isFailure(error, 'jwt.refused')) throw error;
      mount.log.warn('a login was refused', { role: login.roleName, reason: error.message });
      return { reply: failedPage(`Token verification failed. ${error.message}`) };
    }
  });
  return reply ?? gone;
}

async function poll(
  mount: Mount,
  logins: PendingLogins,
  {
    state,
    client_nonce: nonce,
  }: { state?: string | null | undefined; client_nonce?: string | null | undefined },
  call: Call,
): Promise<Reply<Record<string, never>>> {
  const login = logins.find(state ?? '');
  if (login === undefined) throw expired();
  checkClientNonce(login, nonce);
  const { role } = await roleOf(mount, login);
  if (!inCidrs(call.remote.address, role.token.boundCidrs)) throw failure('request.denied');
  // RFC 8628 section 3.5.
  if (login.granted === undefined) throw refused('authorization_pending');
  const grant = logins.take(state ?? '')?.granted;
  if (grant === undefined) throw expired();
  return { auth: grant };
}

async function roleOf(mount: Mount, login: Pending): Promise<NamedRole> {
  try {
    return await roleFor(mount, login.roleName, '');
  } catch (error) {
    throw isFailure(error, 'jwt.unknown_role') ? failed('Role could not be found') : error;
  }
}

/** What the page that asks sends again. */
const sentAgain = ({ state, code, iss }: Answered): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ state, code, iss }).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );

/** The words in front are known to consoles and command lines, which look for them. */
const failed = (reason: string): Failure => refused(`Vault login failed. ${reason}`);
const expired = (): Failure => failed('Expired or missing OAuth state.');
