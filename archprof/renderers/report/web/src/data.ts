// The document that archprof/renderers/report/data.py writes, and a network as a tree of modules and ops.
export interface Column { unit: string; total: string; meaning: string; parts: string[] }
interface Coded { of: string[]; at: number[] }
export interface Raw { [key: string]: any }
export interface Summary { models: { model: string; totals: Record<string, number> }[]; labels: Record<string, string> }

export interface Node {
  id: number; // an op's place in the execution order; -1, -2 ... for modules, -1 the network
  key: string; // what stands in the address: the op's name, or the module's path followed by a slash
  name: string;
  path: string;
  kind: string;
  shape: string;
  children: Node[];
  parent: Node | null;
  first: number;
  ops: number[];
}

export class Model {
  root: Node;
  nodes = new Map<number, Node>();
  keys = new Map<string, Node>();
  totals: Record<string, number>;
  copyOf = new Map<number, { first: number; copies: number; run: number }>();
  private sums = new Map<string, Map<number, number | null>>();

  constructor(public raw: Raw, public columns: Record<string, Column>) {
    this.totals = raw.totals;
    const { path, parent, block } = raw.modules;
    for (let m = 0; m < path.length; m++) {
      const above = m ? this.nodes.get(-1 - parent[m])! : null;
      const name = m ? path[m].slice(above!.path ? above!.path.length + 1 : 0) : raw.name;
      this.add({ id: -1 - m, key: m ? `${path[m]}/` : "", name, path: path[m], kind: block[m] || (m ? "module" : "network"), shape: "", children: [], parent: above, first: Infinity, ops: [] });
    }
    this.root = this.nodes.get(-1)!;
    const ops = raw.ops;
    for (let i = 0; i < ops.name.length; i++) {
      const home = this.nodes.get(-1 - ops.module[i])!;
      const own = this.text("path", i) || ops.name[i];
      const kind = this.text("kind", i);
      const inside = home.path && ops.name[i].startsWith(`${home.path}.`);
      const name = own === home.path && home.path ? kind : inside ? ops.name[i].slice(home.path.length + 1) : ops.name[i];
      const node = { id: i, key: ops.name[i], name, path: own, kind: this.text("layer", i) || kind, shape: this.text("shape", i), children: [], parent: home, first: i, ops: [i] };
      this.add(node);
      home.children.push(node);
      for (let up: Node | null = home; up; up = up.parent) {
        up.ops.push(i);
        up.first = Math.min(up.first, i);
        up.shape = node.shape;
      }
    }
    for (const node of this.nodes.values()) if (node.id < -1) node.parent!.children.push(node);
    for (const node of this.nodes.values()) node.children.sort((a, b) => a.first - b.first);
    raw.runs.forEach((copies: number[][], run: number) => copies.forEach((copy, at) => copy.forEach((id, place) =>
      this.copyOf.set(id, { first: at ? copies[0][place] : id, copies: copies.length, run }))));
  }

  private add(node: Node) { this.nodes.set(node.id, node); this.keys.set(node.key, node); }
  text(column: string, op: number): string { const c: Coded = this.raw.ops[column]; return c.of[c.at[op]] ?? ""; }
  isGroup(node: Node) { return node.id < 0; }
  label(node: Node) { return node.id === -1 ? this.raw.name : node.path && node.id < 0 ? node.path : node.key; }

  // What a column comes to over some ops, as Profile.total says: unknown values are left out, null where none is known.
  total(column: string, ops: number[]): number | null {
    const how = this.columns[column].total;
    if (how === "ratio") {
      const [above, below] = this.columns[column].parts.map((part) => this.total(part, ops) ?? 0);
      return below ? above / below : 0;
    }
    const values = this.raw.values[column];
    if (!values) return null;
    let sum: number | null = null;
    for (const op of ops) {
      const value = values[op];
      if (value === null) continue;
      sum = sum === null || how === "last" ? value : how === "max" ? Math.max(sum, value) : sum + value;
    }
    return sum;
  }
  value(column: string, node: Node): any {
    if (node.id >= 0) return this.raw.values[column]?.[node.id] ?? null;
    if (this.columns[column].total === "none") return null;
    let known = this.sums.get(column);
    if (!known) this.sums.set(column, (known = new Map()));
    if (!known.has(node.id)) known.set(node.id, this.total(column, node.ops));
    return known.get(node.id);
  }
  isPartial(column: string, node: Node) { return node.id < 0 && node.ops.some((op) => this.raw.values[column]?.[op] === null); }
  cell(column: string, node: Node): string {
    const value = this.value(column, node);
    const unit = this.columns[column].unit;
    return value === null ? "-" : (this.isPartial(column, node) ? ">" : "") + format(value, unit);
  }
  share(column: string, node: Node): number { return (this.value(column, node) ?? 0) / (this.totals[column] || 1); }
  above(node: Node | null): Node[] { const found = []; for (let n = node; n; n = n.parent) found.unshift(n); return found; }
}

import { written as format } from "./units";

export async function load(): Promise<{ columns: Record<string, Column>; models: Model[]; diffs: any[]; summary: Summary }> {
  const read = (id: string) => JSON.parse(document.getElementById(id)!.textContent!);
  const bytes = Uint8Array.from(atob(read("archprof-data")), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const models = data.models.map((raw: Raw) => new Model(raw, data.columns));
  return { columns: data.columns, models, diffs: data.diffs, summary: read("archprof-summary") };
}
