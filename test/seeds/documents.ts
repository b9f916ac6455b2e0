/**
 * Reads the manifests out of a document of prose: the fenced YAML blocks, each part with its line. People's documents
 * are not clean: what is no manifest (values of a chart, JSON, a broken line) is passed over and named, never dropped
 * in silence.
 */

import { parseDocument } from 'yaml';
import type { KubeObject } from '../../src/kube/kube.ts';

export interface Found {
  /** The line of the document (from 1) on which the manifest begins. */
  readonly line: number;
  /** As it stands in the document, to the byte. */
  readonly text: string;
  readonly object: KubeObject;
}

export interface PassedOver {
  readonly line: number;
  readonly why: string;
}

export interface Manifests {
  readonly found: readonly Found[];
  readonly passedOver: readonly PassedOver[];
}

/** Everything in fences of YAML, in the order of the document. */
export function manifestsOf(document: string): Manifests {
  const found: Found[] = [];
  const passedOver: PassedOver[] = [];
  for (const part of parts(document)) {
    const read = objectOf(part.text);
    if (read === undefined) continue;
    if ('why' in read) passedOver.push({ line: part.line, why: read.why });
    else found.push({ ...part, object: read.object });
  }
  return { found, passedOver };
}

export interface Part {
  readonly line: number;
  readonly text: string;
}

/** The parts of all YAML fences, split where a line says `---`; a part begins with its first line that says something. */
export function* parts(document: string): Iterable<Part> {
  let fence: string | undefined;
  let lines: string[] = [];
  let first = 0;
  const part = (): Part[] => {
    const lead = lines.findIndex((line) => !/^\s*(#.*)?$/.test(line));
    return lead < 0 ? [] : [{ line: first + lead, text: `${lines.slice(lead).join('\n')}\n` }];
  };
  for (const [index, line] of document.split(/\r?\n/).entries()) {
    const opened = fence;
    const mark = /^```(\w*)/.exec(line);
    if (mark !== null) fence = opened === undefined ? (mark[1] ?? '') : undefined;
    const boundary = mark !== null || /^---\s*$/.test(line);
    if (!boundary) {
      lines.push(line);
      continue;
    }
    if (opened === 'yaml' || opened === 'yml') yield* part();
    lines = [];
    first = index + 2;
  }
}

/** Undefined: nothing in it. */
function objectOf(text: string): { readonly object: KubeObject } | { readonly why: string } | undefined {
  const parsed = parseDocument(text, { version: '1.1', logLevel: 'silent' });
  if (parsed.errors.length > 0) return { why: 'no YAML' };
  const value: unknown = parsed.toJS();
  if (value === null || value === undefined) return undefined;
  if (!isObject(value)) return { why: 'no manifest: it has no apiVersion, kind and name' };
  return { object: value };
}

function isObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null) return false;
  const { apiVersion, kind, metadata } = value as Record<string, unknown>;
  const named =
    typeof metadata === 'object' &&
    metadata !== null &&
    typeof (metadata as Record<string, unknown>)['name'] === 'string';
  return typeof apiVersion === 'string' && typeof kind === 'string' && named;
}
