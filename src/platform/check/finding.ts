/**
 * What a check finds: a failure of the table (so that it has a code with a page, a message and a mend), how sure it is, and
 * where it stands. Nothing that is found names a secret: what is read are manifests, policies and the names of paths.
 */

import type { Failure } from '../../base/errors.ts';

/**
 * `error`: wrong, whatever else there may be. `warning`: wrong where the files are all that there is, or hardly meant.
 * `upstream-only`: right here, and wrong where External Secrets itself reads the same files.
 */
export type FindingClass = 'error' | 'warning' | 'upstream-only';

/** Lines and columns count from 1; columns count characters. */
export interface Spot {
  readonly line: number;
  readonly column?: number;
}

export interface Finding extends Spot {
  readonly class: FindingClass;
  readonly file: string;
  readonly failure: Failure;
  /** "ExternalSecret team/app", where it is about an object. */
  readonly object?: string;
}

/** By file, line and column, then by code: the same files give the same report. Equal ones are one. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const once = new Map(findings.map((finding) => [idOf(finding), finding]));
  return [...once.values()].sort(
    (a, b) =>
      byText(a.file, b.file) ||
      a.line - b.line ||
      (a.column ?? 0) - (b.column ?? 0) ||
      byText(a.failure.code, b.failure.code) ||
      byText(a.failure.message, b.failure.message),
  );
}

const idOf = ({ file, line, column, failure: { code, message } }: Finding): string =>
  JSON.stringify([file, line, column, code, message]);

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
