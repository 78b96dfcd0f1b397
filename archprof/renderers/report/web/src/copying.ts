// Rows of a table as text for other programs; whole numbers, nothing where one is unknown.
const escapes: Record<string, string> = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const latex = (cell: string) => oneLine(cell).replace(/[\\~^]|[&%$#_{}]/g, (sign) => escapes[sign] ?? `\\${sign}`);
const markdown = (cell: string) => oneLine(cell).replace(/[\\|`*_<>[\]]/g, "\\$&");
const oneLine = (cell: string) => cell.replace(/[\t\r\n]+/g, " ");
const isText = (column: number) => column < 3;

export const FORMS = {
  TSV: (heads: string[], rows: string[][]) => [heads, ...rows].map((cells) => cells.map(oneLine).join("\t")).join("\n"),
  Markdown: (heads: string[], rows: string[][]) => {
    const line = (cells: string[]) => `| ${cells.map(markdown).join(" | ")} |`;
    return [line(heads), `| ${heads.map((_, i) => (isText(i) ? "---" : "---:")).join(" | ")} |`, ...rows.map(line)].join("\n");
  },
  // As archprof show -o x.tex: booktabs, whole numbers.
  LaTeX: (heads: string[], rows: string[][]) => {
    const line = (cells: string[]) => `${cells.map(latex).join(" & ")} \\\\`;
    return [`\\begin{tabular}{${heads.map((_, i) => (isText(i) ? "l" : "r")).join("")}}`, "\\toprule", line(heads), "\\midrule", ...rows.map(line), "\\bottomrule", "\\end{tabular}"].join("\n");
  },
};
