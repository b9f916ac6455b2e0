// Tables for a terminal: the first column to the left, figures to the right.

/** Lines of a table. `rows` are lists of texts as long as `head`. */
export function tableLines(head, rows) {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)));
  return [head, ...rows].map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '),
  );
}

/** Prints a table, and gives it back for the report. */
export function printTable(head, rows) {
  console.log(`\n${tableLines(head, rows).join('\n')}`);
  return { head, rows };
}

/** The digits that a reader can use: three, and no more after the point than needed. */
export function figure(value) {
  if (value === undefined || Number.isNaN(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en-GB');
  return value.toFixed(value >= 10 ? 1 : 2);
}
