import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { afterEach, describe, expect, test } from 'vitest';
import { withConnection } from '../settings.ts';
import type { Terminal } from '../terminal.ts';
import { completing } from './index.ts';
import { predict } from './predict.ts';
import { complete, wordsBefore } from './words.ts';

const closing: Server[] = [];
afterEach(() => {
  for (const server of closing.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  closing.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function terminalOf(env: Readonly<Record<string, string>>): Terminal & { readonly told: string[] } {
  const told: string[] = [];
  const none = async (): Promise<never> => {
    throw new Error('nobody is asked for anything while a line is completed');
  };
  return {
    told,
    env,
    out: (text) => void told.push(text),
    err: none,
    stdin: none,
    secret: none,
    readFile: none,
    tokenFile: { read: async () => undefined, write: none },
  };
}

function program(): Command {
  const root = new Command('holdfast');
  const policy = root.command('policy');
  withConnection(policy.command('read <name>')).option('--format <format>', '');
  withConnection(root.command('list <path>'));
  root.command('lease').command('revoke <id>').option('-f, --force', '').option('--sync', '');
  return root;
}

test('a line is cut at the cursor, and its last word is what is typed', () => {
  expect(wordsBefore('holdfast policy re', undefined)).toEqual(['holdfast', 'policy', 're']);
  expect(wordsBefore('holdfast policy read x', 16)).toEqual(['holdfast', 'policy', '']);
  expect(wordsBefore('  holdfast ', undefined)).toEqual(['holdfast', '']);
});

describe('the commands say', () => {
  const words = (line: string) => complete(program(), wordsBefore(line, undefined));
  test.each([
    ['holdfast ', ['help', 'lease', 'list', 'policy']],
    ['holdfast l', ['lease', 'list']],
    ['holdfast lease ', ['revoke']],
    ['holdfast lease revoke -', ['-force', '-help', '-sync']],
    ['holdfast lease revoke -f', ['-force']],
    ['holdfast policy read -format ', ['json', 'raw', 'table', 'yaml']],
    ['holdfast policy read -format=json -address http://x -for', ['-format']],
    ['holdfast policy read name ', []],
    ['holdfast policy none ', []],
    ['holdfast lease revoke ', []],
  ])('after %j: %j', (line, expected) => expect(words(line).words).toEqual(expected));

  test('what the server must be asked for', () => {
    expect(words('holdfast policy read ').wanted).toBe('policies');
    expect(words('holdfast list -address http://x sec').wanted).toBe('paths');
    expect(words('holdfast list -address ').wanted).toBeUndefined();
  });
});

describe('the server is asked', () => {
  const listing = (names: readonly string[]): RequestListener => {
    return (request, response) => {
      response.end(
        request.headers['x-vault-token'] === 'hvs.t' ? JSON.stringify({ data: { keys: names } }) : '{}',
      );
    };
  };
  const asked = (address: string, words: readonly string[]) =>
    predict(terminalOf({ VAULT_ADDR: address, VAULT_TOKEN: 'hvs.t' }), words, 'policies');

  test('and names that a shell would act on are not offered', async () => {
    const names = ['ok', 'a b', '$(id)', '`id`', 'x;y', 'new\nline', '\u001b[31m', "it's", 'ok/too'];
    expect(await asked(await serving(listing(names)), [''])).toEqual(['ok', 'ok/too']);
  });

  test('and only what begins as the word does is offered', async () => {
    expect(await asked(await serving(listing(['one', 'two', 'onto'])), ['on'])).toEqual(['one', 'onto']);
  });

  test('where a flag on the line says so', async () => {
    const address = await serving(listing(['there']));
    const words = ['policy', 'read', `-address=${address}`, ''];
    expect(await asked('http://127.0.0.1:1', words)).toEqual(['there']);
  });

  test.each([
    ['that never answers', (() => undefined) as RequestListener],
    ['that refuses', ((_, response) => response.writeHead(403).end('{"errors":["no"]}')) as RequestListener],
    ['that is none', ((_, response) => response.end('<html>')) as RequestListener],
  ])('and of one %s nothing is offered and nothing said', async (_, listener) => {
    expect(await asked(await serving(listener), [''])).toEqual([]);
  });

  test('only with a token at hand', async () => {
    let calls = 0;
    const address = await serving((_, response) => {
      calls++;
      response.end('{}');
    });
    expect(await predict(terminalOf({ VAULT_ADDR: address }), [''], 'policies')).toEqual([]);
    expect(calls).toBe(0);
  });
});

test('a shell is told words that end in a blank, and folders that do not', async () => {
  const address = await serving((_, response) => response.end('{"data":{"keys":["app","team/"]}}'));
  const terminal = terminalOf({ COMP_LINE: 'holdfast list s/', VAULT_ADDR: address, VAULT_TOKEN: 't' });
  expect(await completing(program(), [], terminal)).toBe(0);
  expect(terminal.told.join('')).toBe('s/app \ns/team/\n');
});
