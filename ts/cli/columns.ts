// Columns of text for a terminal, padded to the widest cell.

/** One line for each row. */
export function columnLines(rows: readonly (readonly string[])[], indent = ''): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => cell.padEnd(widths[column]!));
    return `${indent}${cells.join('  ')}`.trimEnd();
  });
}
