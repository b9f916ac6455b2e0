/** What `holdfast dev` tells the person who started it: a line per stage, the table, and what to do next. */

import type { Terminal } from '../../cli/terminal.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { Standing } from '../../operator/options.ts';

export interface Report {
  /** A stage is done. */
  stage(title: string, detail: string): void;
  line(text: string): void;
}

export function reportTo(terminal: Terminal, startedAt: number): Report {
  return {
    stage: (title, detail) =>
      terminal.out(
        `${((performance.now() - startedAt) / 1000).toFixed(2).padStart(6)}s  ${title.padEnd(11)} ${detail}\n`,
      ),
    line: (text) => terminal.out(`${text}\n`),
  };
}

/** The table that `kubectl get externalsecrets -A` prints. */
export function standingTable(objects: readonly KubeObject[], now: number): string {
  const rows = objects
    .map((object) => {
      const spec = record(object['spec']);
      const store = record(spec['secretStoreRef']);
      const status = record(object['status']);
      const ready = array(status['conditions'])
        .map(record)
        .find((condition) => condition['type'] === 'Ready');
      return [
        object.metadata.namespace ?? '',
        object.metadata.name,
        text(store['kind']),
        text(store['name']),
        text(spec['refreshInterval']),
        text(ready?.['reason']),
        text(ready?.['status']),
        since(text(status['refreshTime']), now),
      ];
    })
    .sort(([a = '', b = ''], [c = '', d = '']) => (`${a}/${b}` < `${c}/${d}` ? -1 : 1));
  return columns([
    ['NAMESPACE', 'NAME', 'STORETYPE', 'STORE', 'REFRESH INTERVAL', 'STATUS', 'READY', 'LAST SYNC'],
    ...rows,
  ]);
}

/** Cells three blanks apart, as kubectl sets them. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => cell.padEnd((widths[at] ?? 0) + 3)).join('');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** Why those that are not ready are not: one line each. */
export const reasons = (standings: readonly Standing[]): string[] =>
  standings
    .filter((standing) => standing.ready !== 'True')
    .map((s) => `  ${s.kind} ${s.namespace}/${s.name}: ${s.reason}: ${s.message}`);

function since(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  return Number.isNaN(seconds)
    ? ''
    : seconds < 120
      ? `${seconds}s`
      : seconds < 7200
        ? `${Math.floor(seconds / 60)}m`
        : `${Math.floor(seconds / 3600)}h`;
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const array = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
