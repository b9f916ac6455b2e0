import type { Row } from '../src/base/codes.ts';

/** The page of docs/errors.md: one section per code, in the table's order. */
export function errorsPage(codes: Readonly<Record<string, Row>>): string {
  const sections = Object.entries(codes).map(([code, row]) =>
    [
      `## ${code}`,
      '',
      `\`${row.message.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}\``,
      '',
      `Kind: ${row.kind}.${row.hint === undefined ? '' : ` ${row.hint}`}`,
      '',
    ].join('\n'),
  );
  return [
    '# What can go wrong',
    '',
    'Every failure of Holdfast has a code of this list. Words in braces are filled in; a secret value never is.',
    'Generated from `src/base/codes.ts` by `npm run generate`.',
    '',
    ...sections,
  ].join('\n');
}
