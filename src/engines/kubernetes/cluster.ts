/** Requests to the API server of the cluster, over the one way out. Its answers are data of a stranger: read, bounded, tamed. */

import { textOf } from '../../base/bytes.ts';
import { parseJson, stringify } from '../../base/json.ts';
import { type Bag, bagOf } from '../../base/shape.ts';
import { tame } from '../../base/tame.ts';
import type { Dial } from '../../plugin/plugin.ts';
import type { Settings } from './config.ts';

/** `reason` is fit for a message. */
export type Answer =
  | { readonly done: true; readonly body: Bag }
  | { readonly done: false; readonly status: number; readonly reason: string };

const TIMEOUT_MS = 10_000;

export class Cluster {
  readonly #dial: Dial;
  readonly #settings: Settings;

  constructor(dial: Dial, settings: Settings) {
    this.#dial = dial;
    this.#settings = settings;
  }

  /**
   * @param path of the API, with names in it that were checked
   * @throws Failure of the configuration, or dial.* where nobody answered: then what was asked may have been done
   */
  async ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Answer> {
    const { host, ca, jwt } = await this.#settings.access();
    const { status, body: bytes } = await this.#dial({
      url: host + path,
      method,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${jwt}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: stringify(body) }),
      ca,
      timeoutMs: TIMEOUT_MS,
    });
    const answer = readObject(bytes);
    if (status >= 200 && status < 300) return { done: true, body: answer };
    const told = typeof answer['message'] === 'string' ? answer['message'] : '';
    return {
      done: false,
      status,
      reason: tame(told) || `the API server answered with status ${status}`,
    };
  }
}

function readObject(bytes: Uint8Array): Bag {
  try {
    return bagOf(parseJson(textOf(bytes) ?? ''));
  } catch {
    return {};
  }
}
