/**
 * A key vault and an Entra ID that are not ours, where the commands `azure-keyvault-emulator` and `entra-emulator` are on the
 * PATH: started on the loopback interface under a certificate of Azure's names, with an application that may do everything, one
 * that may do nothing, and each of the ways in which the first can say who it is.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { SignJWT } from 'jose';
import { textOf } from '../../src/base/bytes.ts';
import type { WebAnswer, WebRequest } from '../../src/base/web.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { applicationCertificate } from '../../src/providers/azure/testing.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';

const VAULT_COMMAND = 'azure-keyvault-emulator';
const LOGIN_COMMAND = 'entra-emulator';
const LOGIN = 'login.microsoftonline.com';
const HOST = 'holdfast.vault.azure.net';
/** What the emulator of Entra ID begins with; its machine has the identity of this application. */
const APPLICATION = '00d88624-f0d7-46f6-a641-6232c2608928';
const SECRET = 'daemon-app-secret';
const IDENTITY_HEADER = 'canary-identity-header';
const SUBJECT = 'system:serviceaccount:team:app';
const AUDIENCE = 'api://AzureADTokenExchange';

const isOnPath = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Whether there is one to be started. */
export const isEmulatorHere = (): boolean => [VAULT_COMMAND, LOGIN_COMMAND].every(isOnPath);

export interface Emulator {
  /** What the variables of the test would say of it, each by its name without what all of them begin with. */
  readonly settings: Readonly<Record<string, string>>;
  stop(): void;
}

/** @throws Error where it does not come up within some seconds */
export async function startEmulator(): Promise<Emulator> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-azure-'));
  const children: ChildProcess[] = [];
  const servers: Server[] = [];
  const stop = () => {
    for (const child of children) child.kill('SIGKILL');
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const start = (command: string, env: Readonly<Record<string, string>>) =>
    children.push(
      spawn(command, [], { cwd: folder, stdio: 'ignore', env: { PATH: process.env['PATH'], ...env } }),
    );
  const listen = async (handle: Parameters<typeof createServer>[1]): Promise<string> => {
    const server = createServer(handle);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  try {
    const authority = await createAuthority('emulators');
    const { certificate, key } = await issueCertificate(authority, {
      names: [HOST, LOGIN],
      ips: ['127.0.0.1'],
    });
    const ca = file('ca.pem', authority.certificate);
    // Where the emulator of the vault looks for its own.
    mkdirSync(join(folder, 'tls'));
    const tls = { cert: file('tls/cert.pem', certificate), key: file('tls/key.pem', key) };
    const [login, vault] = [await freePort(), await freePort()];
    const [atLogin, atVault] = [`https://127.0.0.1:${login}`, `https://127.0.0.1:${vault}`];
    const tenant = randomUUID();
    const ask = asking(authority.certificate);

    start(LOGIN_COMMAND, {
      HOST: '127.0.0.1',
      PORT: String(login),
      TENANT_ID: tenant,
      LOGIN_ORIGIN: `https://${LOGIN}`,
      ENTRA_DATA_DIR: '',
      TLS_CERT: tls.cert,
      TLS_KEY: tls.key,
      MANAGED_IDENTITY_SECRET: IDENTITY_HEADER,
    });
    start(VAULT_COMMAND, {
      KV_ADDR: `127.0.0.1:${vault}`,
      KV_DATA_DIR: folder,
      KV_ENTRA_ISSUER: `https://${LOGIN}/${tenant}/v2.0`,
      KV_ENTRA_JWKS_URL: `${atLogin}/${tenant}/discovery/v2.0/keys`,
      SSL_CERT_FILE: ca,
    });
    for (const at of [atLogin, atVault])
      await eventually(`an emulator at ${at}`, () => ask(`${at}/health`).catch(() => undefined), 30_000);

    const apps = `${atLogin}/admin/api/apps`;
    const own = await applicationCertificate();
    await ask(`${apps}/${APPLICATION}/keyCredentials`, { publicKey: own.certificate });
    const account = await accountOf(listen);
    await ask(`${apps}/${APPLICATION}/federated-credentials`, {
      name: 'cluster',
      issuer: account.issuer,
      subject: SUBJECT,
      audiences: [AUDIENCE],
    });
    const stranger = await ask(apps, { displayName: 'stranger', isConfidential: true });
    const { secretText } = await ask(`${apps}/${stranger['id']}/secrets`, {});
    await ask(`${atVault}/_emulator/permissions`, { [APPLICATION]: ['*'], [stranger['id'] ?? '']: [] });
    // A machine asks for its own tokens at an address of its own, without TLS.
    const machine = await listen((request, response) => {
      const headers = { 'x-identity-header': String(request.headers['x-identity-header']) };
      send(authority.certificate, { url: `${atLogin}${request.url}`, method: 'GET', headers }).then(
        ({ status, body }) =>
          response.writeHead(status, { 'content-type': 'application/json' }).end(Buffer.from(body)),
        () => response.writeHead(502).end(),
      );
    });
    Object.assign(process.env, { IDENTITY_ENDPOINT: `${machine}/msi/token`, IDENTITY_HEADER });

    const settings = {
      VAULT: `https://${HOST}`,
      TENANT: tenant,
      CLIENT: APPLICATION,
      SECRET,
      AT: `127.0.0.1:${vault}`,
      LOGIN: `127.0.0.1:${login}`,
      CA: ca,
      CERTIFICATE: file('application.pem', own.certificate + own.key),
      ACCOUNT: file('account.jwt', account.token),
      MACHINE: 'managed',
      STRANGER_CLIENT: stranger['id'] ?? '',
      STRANGER_SECRET: secretText ?? '',
    };
    return { settings, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

const dial = createDial({ target: (host, port) => ({ host, port }), allow: () => true });
const send = (ca: string, request: WebRequest): Promise<WebAnswer> => dial({ ...request, ca });

/** One request to an emulator's own desk: POST with a body, else GET. @throws Error for what it refuses */
const asking =
  (ca: string) =>
  async (url: string, body?: object): Promise<Readonly<Record<string, string>>> => {
    const answer = await send(ca, {
      url,
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = textOf(answer.body) ?? '';
    if (answer.status >= 300) throw new Error(`the emulator answers ${answer.status} to ${url}: ${text}`);
    return JSON.parse(text);
  };

/** A token of a service account, by a cluster that publishes its keys. */
async function accountOf(
  listen: (handle: Parameters<typeof createServer>[1]) => Promise<string>,
): Promise<{ readonly issuer: string; readonly token: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = 'cluster';
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }];
  const issuer = await listen(({ url = '', headers }, response) => {
    const found = url.startsWith('/.well-known/') ? { jwks_uri: `http://${headers.host}/keys` } : { keys };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
  });
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'RS256', kid })
    .setIssuer(issuer)
    .setSubject(SUBJECT)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey);
  return { issuer, token };
}
