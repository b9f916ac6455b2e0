/*
 * Doubles of what a server calls out to, each in a process of its own so that its cost is nobody else's: an API server of
 * Kubernetes that knows every service account (https), and a source of accounts for the custom engine (http, this machine).
 * As a program it is the double; as a module it starts one.
 */

import { fork } from 'node:child_process';
import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { fileURLToPath } from 'node:url';

/** The double that is called `name`: { port, ca, stop }; `ca` is undefined over plain HTTP. */
export async function startDouble(name) {
  const child = fork(fileURLToPath(import.meta.url), [name]);
  const { port, ca } = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error(`the double ${name} ended`)));
  });
  child.removeAllListeners('exit');
  return { port, ca, stop: () => child.disconnect() };
}

const DOUBLES = { reviewer, accounts };

/** TokenReview: believes the claims of the token it is shown. */
async function reviewer() {
  const { key, certificate } = await selfSigned();
  const server = createTlsServer(
    { key, cert: certificate, keepAliveTimeout: 60_000 },
    async (request, response) => {
      const { spec } = JSON.parse(await bodyOf(request));
      const claims = JSON.parse(Buffer.from(spec.token.split('.')[1], 'base64url').toString('utf8'));
      const { namespace, serviceaccount } = claims['kubernetes.io'];
      const status = {
        authenticated: true,
        user: {
          username: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
          uid: serviceaccount.uid,
          groups: ['system:serviceaccounts'],
        },
        audiences: spec.audiences ?? claims.aud,
      };
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status };
      answered(response, 201, review);
    },
  );
  return { server, ca: certificate };
}

/** Makes an account, and takes it away. */
async function accounts() {
  const server = createPlainServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
    await bodyOf(request);
    answered(response, request.method === 'POST' ? 201 : 200, { account: { name: 'bench' } });
  });
  return { server, ca: undefined };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function answered(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length });
  response.end(text);
}

/** For 127.0.0.1, an hour. */
async function selfSigned() {
  const x509 = await import('@peculiar/x509');
  const { webcrypto } = await import('node:crypto');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=bench',
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
        new x509.BasicConstraintsExtension(true, undefined, true),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { key, certificate: `${certificate.toString('pem')}\n` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { server, ca } = await DOUBLES[process.argv[2]]();
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, ca }));
  process.on('disconnect', () => process.exit());
}
