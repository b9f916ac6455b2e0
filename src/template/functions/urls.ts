/** Sprig's functions of URLs: taken apart into a map, and put together from one. */

import { hostname, parseUrl, urlText, userText } from '../url.ts';
import { Dict, kindOf } from '../value.ts';
import { CallError, fn, type Table } from './table.ts';

const LONGER = 3; // a byte that is escaped

/** A member that is a text, or an empty one where there is none. @throws CallError */
function textIn(dict: Dict, key: string): string {
  const value = dict.entries.get(key);
  if (value === undefined) return '';
  if (typeof value !== 'string')
    throw new CallError(`unable to parse ${key} key, must be of type string, but ${kindOf(value)} found`);
  return value;
}

export const urls: Table = {
  urlParse: fn('string', (call, text) => {
    call.meter.alloc(text.length * LONGER);
    call.meter.step(Math.ceil(text.length / 8));
    const url = parseUrl(text);
    const { scheme, host, path, query, opaque, fragment } = url;
    const members = {
      scheme,
      host,
      hostname: hostname(url),
      path,
      query,
      opaque,
      fragment,
      userinfo: userText(url),
    };
    return new Dict(new Map(Object.entries(members)));
  }),
  urlJoin: fn('dict', (call, dict) => {
    const part = (key: string): string => {
      const text = textIn(dict, key);
      call.meter.alloc(text.length * LONGER);
      call.meter.step(Math.ceil(text.length / 8));
      return text;
    };
    const [scheme, host, path, query] = [part('scheme'), part('host'), part('path'), part('query')];
    const [opaque, fragment, userinfo] = [part('opaque'), part('fragment'), part('userinfo')];
    const user = userinfo === '' ? undefined : parseUrl(`proto://${userinfo}@host`).user;
    return urlText({ scheme, host, path, query, opaque, fragment, user });
  }),
};
