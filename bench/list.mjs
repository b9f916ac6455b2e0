// Listing a folder of KV version 2: of a hundred names, and of a thousand.

import { fileURLToPath } from 'node:url';
import { compare } from './parts/compare.mjs';
import { issueTokens, mountKv } from './parts/secrets.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'KV version 2, list';

const MODULE = fileURLToPath(import.meta.url);
const SIZES = { '100 names': 100, '1,000 names': 1000 };

export const run = (options) =>
  compare(options, {
    title: `${summary}: the names of one folder, audit off`,
    module: MODULE,
    variants: Object.keys(SIZES).map((variant) => ({ variant, kind: variant })),
    async prepare(api, { contender, generator, kind }) {
      await mountKv(api);
      await fillFolder(contender, generator, SIZES[kind]);
      return { tokens: await issueTokens(api, Math.max(...options.clients)), last: nameOf(SIZES[kind] - 1) };
    },
  });

/** Finds the names of the folder in the text of a listing. */
export const NAME = /name-\d{7}/g;
const nameOf = (i) => `name-${String(i).padStart(7, '0')}`;

/** Writes `count` small secrets into secret/folder/ through the API. */
export const fillFolder = (contender, generator, count) =>
  generator.run({
    module: MODULE,
    params: { token: contender.token, count },
    host: contender.host,
    port: contender.port,
    clients: 64,
  });

export const traffic = (params) => (params.count === undefined ? listing(params) : filling(params));

/** The last name has to be there: a listing that stops short is no listing. */
const listing = ({ tokens, last }) => ({
  client(index) {
    const text = requestText({ path: '/v1/secret/metadata/folder?list=true', token: tokens[index] });
    return {
      next: () => text,
      check: (status, body) =>
        status === 200 && body.includes(`"${last}"]`) ? undefined : 'not the whole folder',
    };
  },
});

const filling = ({ token, count }) => ({
  client(index, clients) {
    let at = index - clients;
    return {
      next() {
        at += clients;
        if (at >= count) return undefined;
        const path = `/v1/secret/data/folder/${nameOf(at)}`;
        return requestText({ method: 'POST', path, token, body: { data: { at } } });
      },
      check: (status) => (status === 200 ? undefined : 'a secret was not written'),
    };
  },
});
