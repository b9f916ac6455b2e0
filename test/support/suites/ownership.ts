/** Who owns what in a Secret, and what becomes of it: the creation and deletion policies over the whole platform, with kubectl. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type TestPlatform } from '../platform.ts';
import { entry, makeTeam, type Team, textsOf } from '../team.ts';

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function ownershipSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  let team: Team;
  beforeAll(async () => {
    platform = await start();
    team = await makeTeam(platform, 'argocd');
  });
  afterAll(() => platform?.stop());

  test('Merge onto argocd-secret changes admin.password alone; server.secretkey stays to the byte, and its owner too', async () => {
    // Bytes that are no UTF-8: whoever reads them as text and writes them back breaks every session.
    const key = Buffer.from([0x00, 0xff, 0xfe, 0x80, 0x0a, 0xc3, 0x28]).toString('base64');
    await team.kubectl.ok(
      'create -f -',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          name: 'argocd-secret',
          namespace: 'argocd',
          labels: { 'app.kubernetes.io/part-of': 'argocd' },
        },
        data: { 'server.secretkey': key, 'admin.password': Buffer.from('old').toString('base64') },
      }),
    );
    await team.put('admin', { 'admin.password': '$2y$10$first', other: 'not asked for' });
    await team.externalSecret('argocd-admin-password', {
      target: { name: 'argocd-secret', creationPolicy: 'Merge', deletionPolicy: 'Retain' },
      data: [entry('admin.password', 'secret/data/argocd/admin', 'admin.password')],
    });
    const password = async (text: string) =>
      eventually(`admin.password is ${text}`, async () => {
        const secret = await team.secret('argocd-secret');
        return secret !== undefined && textsOf(secret)['admin.password'] === text ? secret : undefined;
      });
    await password('$2y$10$first');
    await team.put('admin', { 'admin.password': '$2y$10$second' });
    const secret = await password('$2y$10$second');

    expect(Object.keys(secret['data'] as object).sort()).toEqual(['admin.password', 'server.secretkey']);
    expect((secret['data'] as Record<string, string>)['server.secretkey']).toBe(key);
    expect(secret.metadata.labels?.['app.kubernetes.io/part-of']).toBe('argocd');
    expect(secret.metadata.ownerReferences ?? []).toEqual([]);
    const fields = Object.fromEntries(
      (secret.metadata.managedFields ?? []).map((one) => [one.manager, JSON.stringify(one.fieldsV1)]),
    );
    expect(fields['kubectl-create']).toContain('"f:server.secretkey"');
    const ours = fields['externalsecrets.external-secrets.io/argocd-admin-password'];
    expect(ours).toContain('"f:admin.password"');
    expect(ours).not.toContain('f:server.secretkey');

    await team.kubectl.ok('delete externalsecret argocd-admin-password -n argocd --timeout=20s');
    expect(await team.secret('argocd-secret')).toMatchObject({ data: { 'server.secretkey': key } });
  });

  test('Merge waits for a Secret that is not there, says so, and goes on when somebody makes it', async () => {
    await team.put('late', { a: '1' });
    await team.externalSecret('late', {
      target: { creationPolicy: 'Merge' },
      data: [entry('a', 'argocd/late', 'a')],
    });
    await team.says('late', /^True SecretMissing: secret will not be created due to CreationPolicy=Merge/);
    expect(await team.secret('late')).toBeUndefined();
    await team.kubectl.ok('create secret generic late -n argocd --from-literal=b=2');
    await team.holds('late', { a: '1', b: '2' });
  });

  test('deleting an Owner removes its Secret, deleting an Orphan leaves it', async () => {
    await team.put('two', { a: '1' });
    for (const [name, creationPolicy] of [
      ['owner', 'Owner'],
      ['orphan', 'Orphan'],
    ] as const) {
      await team.externalSecret(name, {
        target: { creationPolicy },
        data: [entry('a', 'secret/argocd/two', 'a')],
      });
      await team.holds(name, { a: '1' });
    }
    expect((await team.secret('owner'))?.metadata.ownerReferences).toMatchObject([
      { kind: 'ExternalSecret', name: 'owner', controller: true, blockOwnerDeletion: true },
    ]);
    await team.kubectl.ok('delete es owner orphan -n argocd --timeout=20s');
    await team.gone('owner');
    await team.holds('orphan', { a: '1' });
  });

  test('Retain keeps the last value of a source that vanished, says which, and goes on when it is back', async () => {
    await team.put('retain', { a: 'last' });
    await team.externalSecret('retain', {
      target: { deletionPolicy: 'Retain' },
      data: [entry('a', 'secret/argocd/retain', 'a')],
    });
    await team.holds('retain', { a: 'last' });
    await team.remove('retain');
    await team.says(
      'retain',
      /^False SecretSyncedError: .*spec\.data\[0\] \(key: secret\/argocd\/retain\).*Secret does not exist/,
    );
    await team.holds('retain', { a: 'last' });
    await team.put('retain', { a: 'new' });
    await team.holds('retain', { a: 'new' });
    await team.says('retain', /^True SecretSynced/);
  });

  test('Delete deletes the Secret of a source that vanished, and makes it again when it is back', async () => {
    await team.put('delete', { a: '1' });
    await team.externalSecret('delete', {
      target: { deletionPolicy: 'Delete' },
      data: [entry('a', 'secret/argocd/delete', 'a')],
    });
    await team.holds('delete', { a: '1' });
    await team.remove('delete');
    await team.gone('delete');
    await team.says('delete', /^True SecretDeleted: secret deleted due to DeletionPolicy=Delete/);
    await team.put('delete', { a: '2' });
    await team.holds('delete', { a: '2' });
  });

  test('under deletionPolicy Merge the keys of a source that vanished go, and the others stay', async () => {
    await team.put('left', { a: '1' });
    await team.put('right', { b: '2' });
    await team.externalSecret('sides', {
      target: { deletionPolicy: 'Merge' },
      data: [entry('a', 'secret/argocd/left', 'a'), entry('b', 'secret/argocd/right', 'b')],
    });
    await team.holds('sides', { a: '1', b: '2' });
    await team.remove('left');
    await team.holds('sides', { b: '2' });
    await team.says('sides', /^True SecretSynced/);
  });

  test('a Secret edited, unlabelled or deleted by hand is repaired at once', async () => {
    await team.put('repair', { a: 'right' });
    await team.externalSecret('repair', { data: [entry('a', 'secret/argocd/repair', 'a')] });
    await team.holds('repair', { a: 'right' });
    await team.kubectl.ok(
      `patch secret repair -n argocd --type=merge -p '{"stringData":{"a":"wrong","more":"x"}}'`,
    );
    await team.holds('repair', { a: 'right' });
    const managed = 'reconcile.external-secrets.io/managed';
    await team.kubectl.ok(`label secret repair -n argocd ${managed}-`);
    await eventually('the label is back', async () =>
      (await team.secret('repair'))?.metadata.labels?.[managed] === 'true' ? true : undefined,
    );
    await team.kubectl.ok('delete secret repair -n argocd');
    await team.holds('repair', { a: 'right' });
  });

  test('another name of the target makes that Secret and removes the former', async () => {
    await team.put('rename', { a: '1' });
    const data = [entry('a', 'secret/argocd/rename', 'a')];
    await team.externalSecret('rename', { target: { name: 'before' }, data });
    await team.holds('before', { a: '1' });
    await team.externalSecret('rename', { target: { name: 'after' }, data });
    await team.holds('after', { a: '1' });
    await team.gone('before');
  });

  test('labels, annotations, type and keys follow the template, also when it no longer names them', async () => {
    await team.put('shape', { user: 'me', pass: 'word' });
    const data = [entry('user', 'argocd/shape', 'user'), entry('pass', 'argocd/shape', 'pass')];
    const template = (metadata: object, texts: object) => ({
      target: { template: { type: 'kubernetes.io/basic-auth', metadata, data: texts } },
      data,
    });
    await team.externalSecret(
      'shape',
      template(
        {
          labels: { tier: '{{ .user }}', plain: 'x' },
          annotations: { 'team.example/note': 'by {{ .user }}' },
        },
        { username: '{{ .user }}', password: '{{ .pass }}', extra: '{{ .pass | upper }}' },
      ),
    );
    const full = await team.holds('shape', { username: 'me', password: 'word', extra: 'WORD' });
    expect(full['type']).toBe('kubernetes.io/basic-auth');
    expect(full.metadata.labels).toMatchObject({ tier: 'me', plain: 'x' });
    expect(full.metadata.annotations).toMatchObject({ 'team.example/note': 'by me' });
    await team.externalSecret(
      'shape',
      template({ labels: { plain: 'y' } }, { username: '{{ .user }}', password: '{{ .pass }}' }),
    );
    const less = await team.holds('shape', { username: 'me', password: 'word' });
    expect(less.metadata.labels).toMatchObject({ plain: 'y' });
    expect(less.metadata.labels).not.toHaveProperty('tier');
    expect(less.metadata.annotations).not.toHaveProperty('team.example/note');
  });

  test('an immutable target keeps its first value, whatever the source says later', async () => {
    await team.put('stone', { a: 'first' });
    await team.externalSecret('stone', {
      target: { immutable: true },
      data: [entry('a', 'secret/argocd/stone', 'a')],
    });
    const secret = await team.holds('stone', { a: 'first' });
    expect(secret['immutable']).toBe(true);
    const refused = await team.kubectl.run(
      `patch secret stone -n argocd --type=merge -p '{"stringData":{"a":"by hand"}}'`,
    );
    expect(refused.err).toMatch(/immutable/);
    await team.put('stone', { a: 'second' });
    await team.put('witness', { a: '1' });
    await team.externalSecret('witness', { data: [entry('a', 'secret/argocd/witness', 'a')] });
    await team.holds('witness', { a: '1' });
    await team.holds('stone', { a: 'first' });
  });

  test('a Secret that somebody else made immutable is left alone, and that is told', async () => {
    await team.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'rock', namespace: 'argocd' },
      stringData: { a: 'theirs' },
      immutable: true,
    });
    await team.put('rock', { a: 'ours' });
    await team.externalSecret('rock', { data: [entry('a', 'secret/argocd/rock', 'a')] });
    await team.says('rock', /^False SecretSyncedError: could not update secret, target is immutable/);
    await team.holds('rock', { a: 'theirs' });
  });

  test('two ExternalSecrets do not fight over one Secret: the second says who has it', async () => {
    await team.put('fight', { a: '1', b: '2' });
    await team.externalSecret('first', {
      target: { name: 'prize' },
      data: [entry('a', 'secret/argocd/fight', 'a')],
    });
    await team.holds('prize', { a: '1' });
    await team.externalSecret('second', {
      target: { name: 'prize' },
      data: [entry('b', 'secret/argocd/fight', 'b')],
    });
    await team.says(
      'second',
      /^False SecretSyncedError: target is owned by another ExternalSecret: .*ExternalSecret "first"/,
    );
    await team.holds('prize', { a: '1' });
    await team.kubectl.ok('delete es second -n argocd --timeout=20s');
    await team.holds('prize', { a: '1' });
  });
}
