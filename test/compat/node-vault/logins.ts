/** node-vault's logins with what others made: tokens of a cluster, tokens of an issuer, client certificates. */

import type nodeVault from 'node-vault';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../../src/crypto/certificate.ts';
import { rsa, signed } from '../../../src/methods/jwt/testing.ts';
import { accountToken, REVIEWER_HOST, reviewing } from '../../support/reviews.ts';
import { startServer, type TestServer } from '../server.ts';
import { command, type MakeClient } from './client.ts';

export function loginsSuite(connect: MakeClient): void {
  let server: TestServer;
  let vault: nodeVault.client;
  let authority: Awaited<ReturnType<typeof createAuthority>>;
  const jwt = accountToken('shop', 'app');

  beforeAll(async () => {
    authority = await createAuthority('clients');
    server = await startServer({ dial: reviewing({ [jwt]: { namespace: 'shop', name: 'app' } }) });
    vault = connect(server);
    await vault.addPolicy({ name: 'reader', rules: 'path "secret/*" { capabilities = ["read"] }' });
  });
  afterAll(() => server?.close());

  test('kubernetes: a role is read and removed, and a service account logs in', async () => {
    await vault.enableAuth({ mount_point: 'kubernetes', type: 'kubernetes' });
    await vault.write('auth/kubernetes/config', {
      kubernetes_host: REVIEWER_HOST,
      kubernetes_ca_cert: authority.certificate,
      token_reviewer_jwt: accountToken('vault', 'reviewer'),
    });
    const role = {
      bound_service_account_names: ['app'],
      bound_service_account_namespaces: ['shop'],
      policies: ['reader'],
    };
    await vault.write('auth/kubernetes/role/app', role);
    const read = await vault.getKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' });
    expect(read.data).toMatchObject({ ...role, token_policies: ['reader'] });
    const { auth } = await connect(server, '').kubernetesLogin({
      mount_point: 'kubernetes',
      role: 'app',
      jwt,
    });
    expect(auth).toMatchObject({
      policies: ['default', 'reader'],
      metadata: { service_account_name: 'app', service_account_namespace: 'shop', role: 'app' },
    });
    await expect(
      connect(server, '').kubernetesLogin({
        mount_point: 'kubernetes',
        role: 'app',
        jwt: accountToken('shop', 'other'),
      }),
    ).rejects.toThrow('service account name not authorized');
    await vault.deleteKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' });
    await expect(
      vault.getKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' }),
    ).rejects.toMatchObject({ response: { statusCode: 404 } });
  });

  test('addKubernetesRole fails in the client, before anything is sent', async () => {
    await expect(
      // Not through the recording: it is a gap.
      (await import('node-vault')).default({ endpoint: 'http://127.0.0.1:1', token: 'x' }).addKubernetesRole({
        role_name: 'app',
        bound_service_account_names: ['app'],
      }),
    ).rejects.toThrow(TypeError);
  });

  test('jwt: a token that the issuer signed logs in, and one for somebody else does not', async () => {
    const key = rsa();
    await vault.enableAuth({ mount_point: 'jwt', type: 'jwt' });
    await vault.write('auth/jwt/config', {
      jwt_validation_pubkeys: [key.publicKey.export({ type: 'spki', format: 'pem' })],
      bound_issuer: 'https://ci.example',
    });
    await vault.write('auth/jwt/role/ci', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_audiences: ['holdfast'],
      token_policies: ['reader'],
    });
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: 'https://ci.example', sub: 'job-7', aud: 'holdfast', iat: now, exp: now + 300 };
    const { auth } = await command(connect(server, ''), 'jwtLogin', { role: 'ci', jwt: signed(claims, key) });
    expect(auth).toMatchObject({ policies: ['default', 'reader'], metadata: { role: 'ci' } });
    const elsewhere = signed({ ...claims, aud: 'elsewhere' }, key);
    await expect(
      command(connect(server, ''), 'jwtLogin', { role: 'ci', jwt: elsewhere }),
    ).rejects.toMatchObject({ response: { statusCode: 400 } });
  });

  test('cert: who shows a certificate of the authority is in, and who shows none is not', async () => {
    await vault.enableAuth({ mount_point: 'cert', type: 'cert' });
    await vault.write('auth/cert/certs/web', {
      certificate: authority.certificate,
      allowed_common_names: 'web.example',
      token_policies: 'reader',
    });
    const own = await createAuthority('listener');
    const listener = await issueCertificate(own, { names: ['localhost'], ips: ['127.0.0.1'] });
    const url = await server.securely({
      cert: listener.certificate,
      key: listener.key,
      clientCertificates: true,
    });
    const shown = await issueCertificate(authority, { names: ['web.example'], ips: [], client: true });
    const secure = (more: object) =>
      connect({ ...server, url }, '', { requestOptions: { ca: own.certificate, ...more } });
    const { auth } = await command(secure({ cert: shown.certificate, key: shown.key }), 'certLogin');
    expect(auth).toMatchObject({ policies: ['default', 'reader'], metadata: { common_name: 'web.example' } });
    await expect(command(secure({}), 'certLogin')).rejects.toMatchObject({ response: { statusCode: 400 } });
  });
}
