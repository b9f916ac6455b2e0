/** The real kubectl against the embedded API: every command that the README promises, as a person types it. */

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, startApiServer } from '../../src/apiserver/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';

function kubectlVersion(): string | undefined {
  try {
    return execFileSync('kubectl', ['version', '--client'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined;
  }
}
const present = kubectlVersion();
if (present === undefined) console.warn('SKIPPED test/compat/kubectl: there is no kubectl on this machine');

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [toys]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Colour, type: string, jsonPath: .spec.colour, priority: 1}
    selectableFields: [{jsonPath: .spec.colour}]
    schema: &schema
      openAPIV3Schema:
        type: object
        description: A thing to count.
        properties:
          spec:
            type: object
            required: [size]
            x-kubernetes-validations:
            - {rule: '!(has(self.a) && has(self.b))', message: at most one of a and b}
            properties:
              size: {type: integer, minimum: 0, description: How big it is.}
              colour: {type: string, default: red, enum: [red, blue]}
              a: {type: string}
              b: {type: string}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
  - name: v1beta1
    served: true
    storage: false
    schema: *schema
`;
const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: a, image: "nginx:1", env: [{name: X, value: "1"}], ports: [{containerPort: 80}]}
      - {name: b, image: busybox}
`;

describe.skipIf(present === undefined)('kubectl', () => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-kubectl-'));
  let api: ApiServer;

  beforeAll(async () => {
    api = await startApiServer({
      backend: new MemoryBackend(),
      host: '127.0.0.1',
      port: 0,
      clock: systemClock,
      log: silentLog,
    });
    writeFileSync(join(home, 'config'), api.kubeconfig(), { mode: 0o600 });
    writeFileSync(join(home, 'crd.yaml'), CRD);
    writeFileSync(join(home, 'web.yaml'), DEPLOYMENT);
  });
  afterAll(async () => {
    await api.close();
    rmSync(home, { recursive: true, force: true });
  });

  const run = (line: string, input = ''): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const env = {
        PATH: process.env['PATH'],
        HOME: home,
        KUBECONFIG: join(home, 'config'),
        KUBECACHEDIR: join(home, 'cache'),
      };
      const words = (line.match(/'[^']*'|\S+/g) ?? []).map((word) =>
        word.replace(/^'(.*)'$/s, '$1').replace('@', `${home}/`),
      );
      const child = execFile(
        'kubectl',
        words,
        { env, encoding: 'utf8', timeout: 25_000 },
        (error, out, err) => {
          resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
        },
      );
      child.stdin?.end(input);
    });
  const ok = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await run(line, input);
    expect(code, `kubectl ${line}\n${out}${err}`).toBe(0);
    return out.trim();
  };
  const apply = (object: object): Promise<string> => ok('apply -f -', JSON.stringify(object));

  it('sees a server, its kinds and whoever it is', async () => {
    expect(await ok('version')).toContain('Server Version: v1.32');
    expect(await ok('api-resources')).toMatch(/deployments\s+deploy\s+apps\/v1\s+true\s+Deployment/);
    expect(await ok('config current-context')).toBe('holdfast');
    expect(await ok('auth whoami')).toContain('system:masters');
    expect(await ok("auth can-i '*' '*'")).toBe('yes');
  });

  it('creates secrets, namespaces, config maps, accounts, roles and tokens, which it sends as protobuf', async () => {
    await ok('create namespace made');
    await ok('create secret generic s --from-literal=a=b -n made');
    await ok('create configmap c --from-literal=x=y -n made');
    await ok('create serviceaccount robot -n made');
    await ok('create role reader --verb=get,list --resource=secrets -n made');
    await ok('create rolebinding reader --role=reader --serviceaccount=made:robot -n made');
    await ok('create deployment idle --image=x --replicas=0 -n made');
    expect(await ok('get deployment idle -n made -o jsonpath={.spec.replicas}')).toBe('0');
    expect(await ok('get secret s -n made -o jsonpath={.data.a}')).toBe('Yg==');
    const token = await ok(
      'create token robot -n made --audience=https://kubernetes.default.svc.cluster.local --duration=20m',
    );
    expect(await ok(`--token=${token} get secret s -n made -o name`)).toBe('secret/s');
    const denied = await run(`--token=${token} delete secret s -n made`);
    expect(denied.code).toBe(1);
    expect(denied.err).toContain(
      'secrets "s" is forbidden: User "system:serviceaccount:made:robot" cannot delete resource "secrets" in API group "" in the namespace "made"',
    );
    expect(
      (await run('auth can-i delete secrets -n made --as=system:serviceaccount:made:robot')).out.trim(),
    ).toBe('no');
    expect((await run('--token=forged get ns')).err).toContain('Unauthorized');
    const refused = await run('create job j --image=x');
    expect(refused.err).toContain('--dry-run=client -o yaml | kubectl apply -f -');
    await ok('delete namespace made');
    expect((await run('get secret s -n made')).err).toContain('not found');
  });

  it('applies a workload, applies it again without a change, and shows what another apply would do', async () => {
    expect(await ok('apply -f @web.yaml')).toBe('deployment.apps/web created');
    const version = await ok('get deploy web -o jsonpath={.metadata.resourceVersion}');
    expect(await ok('apply -f @web.yaml')).toBe('deployment.apps/web unchanged');
    expect(await ok('get deploy web -o jsonpath={.metadata.resourceVersion}')).toBe(version);
    expect((await run('diff -f @web.yaml')).code).toBe(0);
    writeFileSync(
      join(home, 'web2.yaml'),
      DEPLOYMENT.replace('nginx:1', 'nginx:2').replace(
        '{name: b, image: busybox}',
        '{name: c, image: other}',
      ),
    );
    const diff = await run('diff -f @web2.yaml');
    expect(diff.code).toBe(1);
    expect(diff.out).toContain('+      - image: other');
    expect(await ok('get deploy web -o jsonpath={.metadata.resourceVersion}')).toBe(version);
    expect(await ok('apply -f @web2.yaml')).toBe('deployment.apps/web configured');
    expect(await ok('get deploy web -o jsonpath={.spec.template.spec.containers[*].name}')).toBe('a c');
    await ok('rollout restart deploy/web');
    await ok('scale deploy/web --replicas=3');
    expect(await ok('get deploy web')).toMatch(/^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\nweb\s+0\/3/);
    expect(await ok('get deploy web -o wide')).toContain('nginx:2,other');
    expect(await ok('get deploy web -o jsonpath={.spec.template.metadata.annotations}')).toContain(
      'restartedAt',
    );
    expect(await ok('describe deploy web')).toContain('3 desired');
  });

  it('patches in three ways, and the status apart', async () => {
    await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'p' }, data: { a: '1' } });
    await ok(`patch cm p --type=json -p '[{"op":"add","path":"/data/b","value":"2"}]'`);
    await ok(`patch cm p --type=merge -p '{"data":{"a":null}}'`);
    await ok(`patch cm p -p '{"data":{"c":"3"}}'`);
    expect(await ok('get cm p -o jsonpath={.data}')).toBe('{"b":"2","c":"3"}');
    await ok('annotate cm p note=yes');
    await ok('label cm p tier=gold');
    expect(await ok('get cm -l tier=gold -o name')).toBe('configmap/p');
    expect(await ok('get cm -A --field-selector metadata.name=p -o name')).toBe('configmap/p');
    await apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 's' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'x', image: 'y' }] } },
      },
    });
    await ok(
      `patch deploy s --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Available","status":"True"}]}}'`,
    );
    expect(await ok('wait --for=condition=Available deploy/s --timeout=10s')).toContain('condition met');
    expect(await ok('get deploy s -o jsonpath={.metadata.generation}')).toBe('1');
    const bad = await run(`patch deploy s --type=merge -p '{"spec":{"selector":{"matchLabels":{"z":"z"}}}}'`);
    expect(bad.err).toContain('field is immutable');
  });

  it('applies server-side: names conflicts, forces them, and takes away what is no longer said', async () => {
    const map = (data: Record<string, string>): string =>
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' }, data });
    await ok('apply --server-side --field-manager=one -f -', map({ a: '1', b: '1' }));
    const conflict = await run('apply --server-side --field-manager=two -f -', map({ a: '2' }));
    expect(conflict.err).toContain('conflict with "one": .data.a');
    await ok('apply --server-side --field-manager=two --force-conflicts -f -', map({ a: '2' }));
    await ok('apply --server-side --field-manager=one -f -', map({ c: '3' }));
    expect(await ok('get cm ssa -o jsonpath={.data}')).toBe('{"a":"2","c":"3"}');
    const version = await ok('get cm ssa -o jsonpath={.metadata.resourceVersion}');
    await ok('apply --server-side --field-manager=one -f -', map({ c: '3' }));
    expect(await ok('get cm ssa -o jsonpath={.metadata.resourceVersion}')).toBe(version);
  });

  it('works with a custom kind: columns, short names, versions, explain, validation, scale', async () => {
    expect(await ok('apply -f @crd.yaml')).toContain('created');
    await ok('wait --for=condition=Established crd/widgets.example.dev --timeout=10s');
    const widget = (name: string, spec: object): object => ({
      apiVersion: 'example.dev/v1',
      kind: 'Widget',
      metadata: { name },
      spec,
    });
    expect(await apply(widget('w', { size: 2 }))).toBe('widget.example.dev/w created');
    expect(await apply(widget('w', { size: 2 }))).toBe('widget.example.dev/w unchanged');
    await ok(
      `patch wd w --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'`,
    );
    expect(await ok('get wd')).toMatch(/^NAME\s+SIZE\s+READY\nw\s+2\s+True$/);
    expect(await ok('get toys -o wide')).toMatch(/COLOUR\nw\s+2\s+True\s+red/);
    expect(await ok('get widgets.v1beta1.example.dev w -o jsonpath={.apiVersion}')).toBe(
      'example.dev/v1beta1',
    );
    expect(await ok('get wd --field-selector spec.colour=red -o name')).toContain('/w');
    await ok('scale wd/w --replicas=7');
    expect(await ok('get wd w -o jsonpath={.spec.size},{.metadata.generation}')).toBe('7,2');
    expect(await ok('explain widget.spec.size')).toContain('How big it is.');
    const wrong = await run(
      'apply -f -',
      JSON.stringify(widget('x', { size: 'big', colour: 'green', a: '1', b: '2' })),
    );
    expect(wrong.err).toContain('spec.size');
    expect(wrong.err).toContain('supported values: "red", "blue"');
    expect(wrong.err).toContain('at most one of a and b');
    const unknown = await run('apply -f -', JSON.stringify(widget('x', { size: 1, sise: 2 })));
    expect(unknown.err).toContain('unknown field "spec.sise"');
    await ok('delete crd widgets.example.dev');
    expect((await run('get wd')).err).toContain('could not find the requested resource');
  });

  it('watches, and deletes what an owner owned', async () => {
    await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner' } });
    const uid = await ok('get cm owner -o jsonpath={.metadata.uid}');
    const owned = (name: string): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        ownerReferences: [
          { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid, blockOwnerDeletion: true },
        ],
      },
    });
    await apply(owned('owned'));
    const watching = run('get secret owned -w --request-timeout=6s');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await ok('annotate secret owned seen=yes');
    await ok('delete cm owner --cascade=foreground');
    expect((await run('get secret owned')).err).toContain('NotFound');
    const { out } = await watching;
    expect(out.trim().split('\n').length).toBeGreaterThanOrEqual(3);
    await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner' } });
    await apply({ ...owned('kept'), metadata: { name: 'kept' } });
    expect((await run('get secret kept')).code).toBe(0);
    expect(await ok('get cm owner -o yaml')).toContain('kind: ConfigMap');
    expect(JSON.parse(await ok('get cm owner -o json')).metadata.name).toBe('owner');
  });

  it('prints events in both of their APIs', async () => {
    await apply({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e1' },
      involvedObject: { kind: 'ConfigMap', name: 'owner', namespace: 'default', apiVersion: 'v1' },
      reason: 'Updated',
      message: 'it was updated',
      type: 'Normal',
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    });
    expect(await ok('get events')).toMatch(/Normal\s+Updated\s+configmap\/owner\s+it was updated/);
    expect(await ok('events')).toContain('it was updated');
    expect(await ok('get events.v1.events.k8s.io e1 -o jsonpath={.note}')).toBe('it was updated');
  });
});
