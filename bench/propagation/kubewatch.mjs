// A Kubernetes watch on Secrets, as bare as can be: it notes when each value of a Secret was first seen.

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';

/** Follows all Secrets of the cluster that `kubeconfig` names. */
export async function watchSecrets(kubeconfig) {
  const { server, ca, token } = readKubeconfig(kubeconfig);
  const agent = new Agent({ keepAlive: true });
  const options = { ca, agent, headers: { authorization: `Bearer ${token}` } };
  const { items, metadata } = await getJson(`${server}/api/v1/secrets`, options);
  /** "namespace/name" of a Secret to what it holds now: text by key. */
  const now = new Map(items.map((secret) => [nameOf(secret), valuesOf(secret)]));
  const waiting = new Map();
  let failed;

  const see = (secret) => {
    const name = nameOf(secret);
    const values = valuesOf(secret);
    now.set(name, values);
    for (const value of Object.values(values)) {
      const id = `${name}\n${value}`;
      waiting.get(id)?.(performance.now());
      waiting.delete(id);
    }
  };
  const url = `${server}/api/v1/secrets?watch=1&resourceVersion=${metadata.resourceVersion}`;
  const call = request(url, options);
  await new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      if (response.statusCode !== 200)
        return reject(new Error(`the watch was answered ${response.statusCode}`));
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const { type, object } = JSON.parse(line);
          if (type === 'ADDED' || type === 'MODIFIED') see(object);
          else if (type === 'ERROR') failed = new Error(`the watch ended: ${line}`);
        }
      });
      response.on('close', () => {
        failed ??= new Error('the watch was closed');
      });
      resolve();
    });
    call.end();
  });
  call.on('error', () => {});

  return {
    now,
    /** Resolves with the time (performance.now()) at which the Secret held `value`, or with undefined after the limit. */
    arrival(name, value, timeoutMs) {
      if (failed !== undefined) throw failed;
      const id = `${name}\n${value}`;
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          resolve(undefined);
        }, timeoutMs);
        waiting.set(id, (at) => {
          clearTimeout(timer);
          resolve(at);
        });
      });
    },
    /** What the cluster holds when it is asked, and not what was heard. */
    async list() {
      const answer = await getJson(`${server}/api/v1/secrets`, options);
      return new Map(answer.items.map((secret) => [nameOf(secret), valuesOf(secret)]));
    },
    close() {
      call.destroy();
      agent.destroy();
    },
  };
}

const nameOf = ({ metadata }) => `${metadata.namespace}/${metadata.name}`;
const valuesOf = ({ data }) =>
  Object.fromEntries(
    Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]),
  );

/** Only what `holdfast dev` writes is understood. */
function readKubeconfig(file) {
  const text = readFileSync(file, 'utf8');
  const field = (name) => {
    const found = new RegExp(`"?${name}"?:\\s*"?([^"\\s,}]+)`).exec(text)?.[1];
    if (found === undefined) throw new Error(`${file} has no ${name}`);
    return found;
  };
  return {
    server: field('server'),
    ca: Buffer.from(field('certificate-authority-data'), 'base64').toString('utf8'),
    token: field('token'),
  };
}

function getJson(url, options) {
  return new Promise((resolve, reject) => {
    const call = request(url, options, async (response) => {
      try {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
        resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
      } catch (error) {
        reject(error);
      }
    });
    call.once('error', reject);
    call.end();
  });
}
