// One level of a network laid out by dagre; open groups are boxes whose own level was laid out before. Never compound: that is
// what makes dagre slow.
import { Graph, layout } from "@dagrejs/dagre";
import type { Model, Node } from "./data";

export interface Box { id: number; node: Node | null; name: string; about: string; kind: "op" | "group" | "input" | "in" | "out" | "more" | "merge"; copies: number; x: number; y: number; w: number; h: number; inner: Level | null }
export interface Level { boxes: Box[]; lines: { from: number; to: number; points: { x: number; y: number }[] }[]; w: number; h: number }

const MOST = 80;
const FEW = 40;
const MERGE = new Set(["add", "cat", "concat", "mul", "sum", "stack"]);
const HEAD = 30;
const PAD = 12;

export class Wiring {
  constructor(public model: Model, public folds: boolean) {}

  // A node stands for itself, or the first of its exact repeats stands for it.
  of(node: Node): Node {
    const copy = this.folds ? this.model.copyOf.get(node.id) : undefined;
    return copy && copy.first !== node.id ? this.model.nodes.get(copy.first)! : node;
  }
  entries(group: Node): Node[] { return group.children.filter((child) => this.of(child) === child); }
  copies(node: Node) { return this.folds ? (this.model.copyOf.get(node.id)?.copies ?? 1) : 1; }

  // The place of a node in what is drawn: every module around it replaced by the copy that is drawn.
  drawn(node: Node): Node {
    const path: number[] = [];
    for (let n = node; n.parent; n = n.parent) path.unshift(n.parent.children.indexOf(n));
    let at = this.model.root;
    for (const place of path) { const next = at.children[place]; if (!next) break; at = this.of(next); }
    return at;
  }
  private child(op: number, group: Node): Node | null {
    let node = this.model.nodes.get(op) ?? null;
    while (node && node.parent !== group) node = node.parent;
    return node;
  }

  level(group: Node, open: Set<number>): Level {
    const { model } = this;
    let children = this.entries(group);
    const hidden = children.length > MOST ? children.length - FEW : 0;
    if (hidden) children = children.slice(0, FEW);
    const shown = new Set(children.map((c) => c.id));
    const boxes = new Map<number, Box>();
    for (const child of children) {
      const inner = child.id < 0 && open.has(child.id) ? this.level(child, open) : null;
      const about = child.id >= 0 ? child.shape : `${child.ops.length} ops`;
      const kind = child.id < 0 ? "group" : MERGE.has(model.text("kind", child.id)) ? "merge" : "op";
      const copies = this.copies(child);
      const isTold = child.kind !== child.name && child.kind !== "module";
      const name = isTold ? `${child.name}  ${child.kind}` : child.name;
      const text = Math.max(name.length + (copies > 1 ? 4 : 0), about.length * 0.9 + 4);
      const width = Math.min(260, Math.max(84, 26 + (kind === "group" ? 18 : 0) + text * 6.7));
      boxes.set(child.id, { id: child.id, node: child, name, about, kind, copies, x: 0, y: 0, inner,
        w: inner ? Math.max(inner.w + 2 * PAD, width + 20) : width, h: inner ? inner.h + HEAD + PAD : 38 });
    }
    const lines = new Map<string, [number, number]>();
    const join = (a: number, b: number) => { if (a !== b && boxes.has(a) && boxes.has(b)) lines.set(`${a} ${b}`, [a, b]); };
    const stub = (id: number, kind: Box["kind"], name: string, w: number) => { if (!boxes.has(id)) boxes.set(id, { id, node: null, name, about: "", kind, copies: 1, x: 0, y: 0, w, h: kind === "input" ? 26 : 14, inner: null }); };
    const IN = 1e9, OUT = 1e9 + 1, MORE = 1e9 + 2;
    if (hidden) stub(MORE, "more", `+${hidden} more`, 90);
    const ops = model.raw.ops.name.length;
    const { from, to } = model.raw.edges;
    const isInside = new Uint8Array(ops);
    for (const op of group.ops) isInside[op] = 1;
    const place = (op: number) => { const child = this.child(op, group)!; const rep = this.of(child); return shown.has(rep.id) ? rep.id : MORE; };
    for (let e = 0; e < from.length; e++) {
      const a = from[e], b = to[e];
      if (isInside[b] && a >= ops && group.id === -1) { stub(a, "input", model.raw.inputs[a - ops].name, 90); join(a, place(b)); }
      else if (isInside[a] && isInside[b]) join(place(a), place(b));
      else if (isInside[b]) { stub(IN, "in", "", 14); join(IN, place(b)); }
      else if (isInside[a]) { stub(OUT, "out", "", 14); join(place(a), OUT); }
    }
    if (group.id !== -1) for (const op of model.raw.outputs) if (op < ops && isInside[op]) { stub(OUT, "out", "", 14); join(place(op), OUT); }
    const graph = new Graph({ multigraph: false, compound: false });
    graph.setGraph({ rankdir: "TB", nodesep: 16, ranksep: 22, edgesep: 8, marginx: 4, marginy: 4 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const box of boxes.values()) graph.setNode(String(box.id), { width: box.w, height: box.h });
    for (const [a, b] of lines.values()) graph.setEdge(String(a), String(b), {});
    layout(graph);
    for (const box of boxes.values()) { const at = graph.node(String(box.id)); box.x = at.x; box.y = at.y; }
    const { width = 0, height = 0 } = graph.graph() as any;
    return { boxes: [...boxes.values()], w: width, h: height,
      lines: graph.edges().map((edge: any) => ({ from: Number(edge.v), to: Number(edge.w), points: (graph.edge(edge) as any).points })) };
  }
}
export { HEAD, PAD };
