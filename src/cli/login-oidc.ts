/**
 * `login -method=oidc`: the browser logs in at the identity provider, and comes back to a listener of this command, or, where
 * the role says so, to the server, which is then asked until it is done.
 */

import { randomBytes } from 'node:crypto';
import { failure } from '../base/errors.ts';
import { sleep } from '../base/retry.ts';
import { tame } from '../base/tame.ts';
import { beginOidc, completeOidc, type Granted, pollOidc } from '../client/auth.ts';
import { problemOf, type VaultClient } from '../client/client.ts';
import { type Data, truth } from './arguments.ts';
import { openBrowser } from './browser.ts';
import { type Brought, listenForCallback } from './callback.ts';
import type { Terminal } from './terminal.ts';

/** As long as upstream's command line waits. */
const PATIENCE_MS = 2 * 60_000;

const KNOWN = [
  'role',
  'listenaddress',
  'port',
  'callbackmethod',
  'callbackhost',
  'callbackport',
  'callbackmode',
  'skip_browser',
  'abort_on_error',
] as const;
type Known = (typeof KNOWN)[number];

export interface OidcLogin {
  readonly role: string;
  readonly listenAddress: string;
  readonly port: number;
  readonly callbackMethod: string | undefined;
  readonly callbackHost: string | undefined;
  readonly callbackPort: string | undefined;
  /** `direct`: the browser comes back to the server. */
  readonly mode: 'client' | 'direct';
  readonly skipBrowser: boolean;
  readonly abortOnError: boolean;
}

/** Reads the data arguments. Pure. @throws Failure cli.usage */
export function oidcLogin(data: Data): OidcLogin {
  const usage = (reason: string) => failure('cli.usage', { reason: `login -method=oidc: ${reason}` });
  const strange = Object.keys(data).find((key) => !(KNOWN as readonly string[]).includes(key));
  if (strange !== undefined) throw usage(`"${strange}" is none of ${KNOWN.join(', ')}`);
  const text = (key: Known): string | undefined => {
    const value = data[key];
    if (value !== undefined && typeof value !== 'string') throw usage(`${key} takes one value`);
    return value === '' ? undefined : value;
  };
  const port = text('port') ?? '8250';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw usage('port is a number up to 65535');
  const method = text('callbackmethod');
  if (method !== undefined && method !== 'http' && method !== 'https')
    throw usage('callbackmethod is http or https');
  const mode = text('callbackmode') ?? 'client';
  if (mode !== 'client' && mode !== 'direct') throw usage('callbackmode is client or direct');
  return {
    role: text('role') ?? '',
    listenAddress: text('listenaddress') ?? 'localhost',
    port: Number(port),
    callbackMethod: method,
    callbackHost: text('callbackhost'),
    callbackPort: text('callbackport'),
    mode,
    skipBrowser: truth(text('skip_browser') ?? 'false', 'skip_browser'),
    abortOnError: truth(text('abort_on_error') ?? 'false', 'abort_on_error'),
  };
}

/** Where the provider sends the browser. Pure. @param port that is listened on; unused in the direct mode */
export function redirectUri(given: OidcLogin, server: string, mount: string, port: number): string {
  if (given.mode === 'client') {
    const { callbackMethod = 'http', callbackHost = 'localhost', callbackPort = String(port) } = given;
    return `${callbackMethod}://${hostText(callbackHost)}:${callbackPort}/oidc/callback`;
  }
  const url = new URL(server);
  const method = given.callbackMethod ?? url.protocol.replace(':', '');
  const host = given.callbackHost === undefined ? url.hostname : hostText(given.callbackHost);
  const standard = method === 'https' ? '443' : '80';
  const at = given.callbackPort ?? `${url.port || standard}/v1/auth/${mount}`;
  return `${method}://${host}:${at}/oidc/callback`;
}

const hostText = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host);

/** @throws Failure cli.usage, cli.oidc, api.* */
export async function loginOidc(
  client: VaultClient,
  mount: string,
  data: Data,
  terminal: Terminal,
): Promise<Granted> {
  const given = oidcLogin(data);
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const clientNonce = randomBytes(20).toString('base64url');
  const work =
    given.mode === 'direct'
      ? polled(client, mount, given, clientNonce, terminal, patience)
      : called(client, mount, given, clientNonce, terminal, patience);
  return work.catch((error: unknown) => {
    if (!patience.aborted || problemOf(error) !== undefined) throw error;
    throw failure('cli.oidc', {
      reason: 'timed out waiting for response from provider',
      mend: 'Run the command again, and complete the login in the browser within two minutes.',
    });
  });
}

async function called(
  client: VaultClient,
  mount: string,
  given: OidcLogin,
  clientNonce: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Granted> {
  const listener = await listenForCallback(given.listenAddress, given.port);
  try {
    const redirect = redirectUri(given, client.address, mount, listener.port);
    const { authUrl, poll } = await begin(client, mount, given, redirect, clientNonce, signal);
    if (poll !== undefined) throw wrongMode('direct');
    const state = new URL(authUrl).searchParams.get('state') ?? '';
    const complete = (brought: Brought): Promise<Granted> =>
      completeOidc(client, mount, answerOf(brought, clientNonce), { signal });
    const answered = listener.answer(state, complete, signal);
    // Its failure is told when it is awaited, below; meanwhile it must not end the process.
    answered.catch(() => {});
    await show(authUrl, given, terminal);
    return await answered;
  } finally {
    listener.close();
  }
}

function answerOf({ fields, posted }: Brought, clientNonce: string) {
  const field = (name: string): string => fields.get(name) ?? '';
  return {
    state: field('state'),
    code: field('code'),
    idToken: field('id_token'),
    error: field('error'),
    errorDescription: field('error_description'),
    issuer: field('iss'),
    clientNonce,
    posted,
  };
}

async function polled(
  client: VaultClient,
  mount: string,
  given: OidcLogin,
  clientNonce: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Granted> {
  const redirect = redirectUri(given, client.address, mount, 0);
  const { authUrl, poll } = await begin(client, mount, given, redirect, clientNonce, signal);
  if (poll === undefined) throw wrongMode('client');
  await show(authUrl, given, terminal);
  let waitMs = poll.seconds * 1000;
  for (;;) {
    await sleep(waitMs, signal);
    try {
      return await pollOidc(client, mount, { state: poll.state, clientNonce }, { signal });
    } catch (error) {
      const said = problemOf(error)?.errors ?? [];
      if (said.some((text) => text.endsWith('slow_down'))) waitMs *= 2;
      else if (!said.some((text) => text.endsWith('authorization_pending'))) throw error;
    }
  }
}

const wrongMode = (mode: string) =>
  failure('cli.oidc', {
    reason: `the role has its logins come back in the callback mode "${mode}"`,
    mend: `Give callbackmode=${mode}.`,
  });

async function begin(
  client: VaultClient,
  mount: string,
  { role }: OidcLogin,
  redirect: string,
  clientNonce: string,
  signal: AbortSignal,
) {
  const begun = await beginOidc(client, mount, { role, redirectUri: redirect, clientNonce }, { signal });
  if (URL.canParse(begun.authUrl) && /^https?:$/.test(new URL(begun.authUrl).protocol)) return begun;
  throw failure('cli.oidc', {
    reason: `Unable to authorize role "${role}" with redirect_uri "${redirect}".`,
    mend: 'The log of the server says why; mostly the URI is none of the allowed_redirect_uris of the role.',
  });
}

async function show(authUrl: string, given: OidcLogin, terminal: Terminal): Promise<void> {
  const lead = given.skipBrowser ? 'Open the following link in your browser:' : 'Launching browser to:';
  terminal.err(`Complete the login via your OIDC provider. ${lead}\n\n    ${tame(authUrl)}\n\n\n`);
  if (!given.skipBrowser && !(await openBrowser(authUrl, terminal.env))) {
    if (given.abortOnError) {
      throw failure('cli.oidc', {
        reason: 'failed to launch the browser',
        mend: 'Give skip_browser=true and open the link by hand.',
      });
    }
    terminal.err('No browser could be opened. Please visit the authorization URL manually.\n');
  }
  terminal.err('Waiting for OIDC authentication to complete...\n');
}
