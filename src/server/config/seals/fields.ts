/** The fields of one stanza of a seal, and the variables of the environment that stand above and below them. */

import type { Failure } from '../../../base/errors.ts';
import { refusal, type Stanza } from '../stanza.ts';

export type Env = Readonly<Record<string, string | undefined>>;
export interface At {
  readonly file: string;
  readonly line: number;
}

const YES = /^(1|t|true)$/i;

export class Fields {
  readonly #stanza: Stanza;
  readonly #at: At;
  readonly #env: Env;
  readonly #name: string;

  /** @param name what messages call it: `seal "awskms"` */
  constructor(name: string, stanza: Stanza, at: At, env: Env) {
    this.#name = name;
    this.#stanza = stanza;
    this.#at = at;
    this.#env = env;
  }

  /** The first of these variables that is set and not empty, or nothing. */
  env(...names: readonly string[]): string {
    return names.map((name) => this.#env[name]).find((value) => value !== undefined && value !== '') ?? '';
  }

  /** @param above variables that stand above the file, @param below those that fill what it leaves out */
  text(key: string, above: readonly string[] = [], below: readonly string[] = []): string {
    return this.env(...above) || (this.#stanza.text(key) ?? '') || this.env(...below);
  }

  required(key: string, mend: string, above: readonly string[] = [], below: readonly string[] = []): string {
    const value = this.text(key, above, below);
    if (value === '') throw this.refused(`has no ${key}`, mend);
    return value;
  }

  truth(key: string, above: readonly string[] = [], below: readonly string[] = []): boolean {
    const set = this.env(...above);
    if (set !== '') return YES.test(set);
    return this.#stanza.truth(key) ?? YES.test(this.env(...below));
  }

  /** Text of a shape: it becomes part of an address or a path. */
  shaped(key: string, value: string, shape: RegExp, mend: string): string {
    if (shape.test(value)) return value;
    throw this.refused(`has a ${key} that is none`, mend);
  }

  /**
   * The URL of a service that is given the root key: https, or http to this machine. Without a slash at its end.
   * @throws Failure config.invalid, without the text: it may hold a password
   */
  address(key: string, value: string, mend: string): string {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const extra = url === undefined ? [] : [url.username, url.password, url.search, url.hash];
    if (url === undefined || !/^https?:$/.test(url.protocol) || extra.some((part) => part !== ''))
      throw this.refused(`has no address of a server in ${key}`, mend);
    if (url.protocol === 'http:' && !isOwnMachine(url))
      throw this.refused(`would send the root key in the clear: ${key} is http`, 'Write https://.');
    return url.origin + url.pathname.replace(/\/+$/, '');
  }

  refused(reason: string, mend: string): Failure {
    return refusal(this.#at, `${this.#name} ${reason}`, mend);
  }
}

/** Whether a URL leads to this machine whatever a name service says (RFC 6761, section 6.3). */
export const isOwnMachine = ({ hostname }: { readonly hostname: string }): boolean =>
  /^(.+\.)?localhost$|^127\.\d+\.\d+\.\d+$|^\[::1\]$/.test(hostname);
