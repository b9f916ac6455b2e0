/** HAProxy and nginx as operators put them before several nodes: reads go to any node, and no write is sent twice. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { isHere } from '../real/database-servers.ts';
import { freePort } from './ports.ts';

export interface Balanced {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

export interface Behind {
  readonly host: string;
  readonly port: number;
}

const START_MS = 10_000;

/** Why there is no such balancer here; undefined where it is. */
export const haproxyMissing = (): string | undefined =>
  isHere('haproxy', '-v') ? undefined : 'no haproxy on the PATH';
export const nginxMissing = (): string | undefined =>
  isHere('nginx', '-v') ? undefined : 'no nginx on the PATH';

/** Each node is asked for its health twice a second; one that hangs is out after a second, and its connections are ended. */
export function startHaproxy(nodes: readonly Behind[]): Promise<Balanced> {
  return start('haproxy', (port, folder) => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  maxconn 2000
defaults
  mode http
  timeout connect 500ms
  timeout client 60s
  timeout server 10s
  timeout check 500ms
  retries 1
  option redispatch 1
  retry-on conn-failure
frontend vault
  bind 127.0.0.1:${port}
  default_backend nodes
backend nodes
  balance roundrobin
  http-reuse safe
  option httpchk
  http-check send meth GET uri /v1/sys/health?standbyok=true&perfstandbyok=true
  http-check expect status 200
  default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${nodes.map(({ host, port: at }, index) => `  server node${index + 1} ${host}:${at}\n`).join('')}`,
    );
    return ['haproxy', '-db', '-f', file];
  });
}

/**
 * nginx without its commercial part asks nobody for health: a node that failed is left alone for two seconds. It waits
 * longer for an answer than a lease lasts, because nodes that wait for a new leader have not failed.
 */
export function startNginx(nodes: readonly Behind[]): Promise<Balanced> {
  return start('nginx', (port, folder) => {
    const file = join(folder, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream nodes {
${nodes.map(({ host, port: at }) => `    server ${host}:${at} max_fails=1 fail_timeout=2s;\n`).join('')}    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 100000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_connect_timeout 500ms;
    proxy_read_timeout 4s;
    client_max_body_size 32m;
    location / {
      # A PUT counts as idempotent there: without this, one that was cut off would be sent to a second node.
      proxy_next_upstream off;
      proxy_pass http://nodes;
    }
  }
}
`,
    );
    return ['nginx', '-c', file, '-p', folder, '-e', join(folder, 'error.log')];
  });
}

async function start(name: string, configure: (port: number, folder: string) => string[]): Promise<Balanced> {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
  const port = await freePort();
  const [command = '', ...args] = configure(port, folder);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-4000);
    });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  ended.catch(() => {});
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    // The master of nginx ends its workers before itself.
    child.kill('SIGTERM');
    await Promise.race([ended, later(3000).then(kill)]);
    rmSync(folder, { recursive: true, force: true });
  };
  for (const until = performance.now() + START_MS; !(await listens(port)); await later(50))
    if (hasEnded(child) || performance.now() > until) {
      await stop();
      throw new Error(`${name} does not start: ${said}`);
    }
  return { name, host: '127.0.0.1', port, stop };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
