// The levels of a network as boxes and lines: open groups are boxes whose own level is laid out before.
import type { Model, Node } from "./data";
import { wide } from "./letters";
import type { Line } from "./place";
import type { Placer } from "./worker";

export interface Box { id: number; node: Node | null; name: string; about: string; kind: "op" | "group" | "input" | "in" | "out" | "more" | "merge"; copies: number; x: number; y: number; w: number; h: number; inner: Level | null }
export interface Level { model: Model; group: Node; boxes: Box[]; pairs: [number, number][]; lines: Line[]; w: number; h: number }

const MOST = 80;
export const FEW = 40;
const MERGE = new Set(["add", "cat", "concat", "mul", "sum", "stack"]);
export const HEAD = 30;
const PAD = 12;
const OPENER = 20;

// Lays a level out, what is open in it first.
export async function arranged(level: Level, placer: Placer): Promise<Level> {
  await Promise.all(level.boxes.map(async (box) => {
    if (!box.inner) return;
    const inner = await arranged(box.inner, placer);
    box.w = Math.max(inner.w + 2 * PAD, box.w);
    box.h = inner.h + HEAD + PAD;
  }));
  const { at, lines, w, h } = await placer.place({ boxes: level.boxes.map((box) => [box.id, box.w, box.h]), pairs: level.pairs });
  level.boxes.forEach((box, i) => { box.x = at[i].x; box.y = at[i].y; });
  return Object.assign(level, { lines, w, h });
}

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

  // So many children of a group are drawn where the reader asked for no more; all, where they are not too many.
  private limit(group: Node, asked: Map<number, number>): number {
    const count = this.entries(group).length;
    return count > MOST ? Math.min(count, asked.get(group.id) ?? FEW) : count;
  }
  // The limits under which a node is drawn.
  uncovered(node: Node, asked: Map<number, number>): Map<number, number> {
    let found = asked;
    for (let n = node; n.parent; n = n.parent) {
      const place = this.entries(n.parent).indexOf(n);
      if (place >= this.limit(n.parent, asked)) found = new Map(found).set(n.parent.id, FEW * Math.ceil((place + 1) / FEW));
    }
    return found;
  }

  level(group: Node, open: Set<number>, asked: Map<number, number>): Level {
    const { model } = this;
    const all = this.entries(group);
    const children = all.slice(0, this.limit(group, asked));
    const hidden = all.length - children.length;
    const shown = new Set(children.map((c) => c.id));
    const inputs: Box[] = [];
    const boxes = new Map<number, Box>();
    for (const child of children) {
      const inner = child.id < 0 && open.has(child.id) ? this.level(child, open, asked) : null;
      const about = child.id >= 0 ? child.shape : `${child.ops.length.toLocaleString("en-US")} op${child.ops.length === 1 ? "" : "s"}`;
      const kind = child.id < 0 ? "group" : MERGE.has(model.text("kind", child.id)) ? "merge" : "op";
      const copies = this.copies(child);
      const isTold = !child.name.startsWith(child.kind) && child.kind !== "module";
      const name = (isTold ? `${child.name}  ${child.kind}` : child.name).replace(/\s+/g, " ").trim() || "(no name)";
      const text = Math.max(wide(name, 12, 550) + (copies > 1 ? 14 + wide(`\u00d7${copies}`, 12, 700) : 0), wide(`${about} \u00b7 100.0%`, 10.5));
      const width = Math.min(280, Math.max(84, 20 + (kind === "group" ? OPENER : 0) + text));
      boxes.set(child.id, { id: child.id, node: child, name, about, kind, copies, x: 0, y: 0, w: width + (inner ? 20 : 0), h: 38, inner });
    }
    const lines = new Map<string, [number, number]>();
    const join = (a: number, b: number) => { if (a !== b && boxes.has(a) && boxes.has(b)) lines.set(`${a} ${b}`, [a, b]); };
    const stub = (id: number, kind: Box["kind"], name: string) => {
      if (boxes.has(id)) return;
      const isDot = kind === "in" || kind === "out";
      const box: Box = { id, node: null, name, about: kind === "more" ? "show more" : "", kind, copies: 1, x: 0, y: 0, inner: null,
        w: isDot ? 14 : Math.min(200, 16 + wide(name)), h: isDot ? 14 : kind === "more" ? 38 : 26 };
      boxes.set(id, box);
      if (kind === "in" || kind === "input") inputs.push(box);
    };
    const IN = 1e9, OUT = 1e9 + 1, MORE = 1e9 + 2;
    if (hidden) stub(MORE, "more", `+${hidden.toLocaleString("en-US")} more`);
    const ops = model.raw.ops.name.length;
    const { from, to } = model.raw.edges;
    const isInside = new Uint8Array(ops);
    for (const op of group.ops) isInside[op] = 1;
    const place = (op: number) => { const child = this.child(op, group)!; const rep = this.of(child); return shown.has(rep.id) ? rep.id : MORE; };
    for (let e = 0; e < from.length; e++) {
      const a = from[e], b = to[e];
      if (isInside[b] && a >= ops && group.id === -1) { stub(a, "input", model.raw.inputs[a - ops].name); join(a, place(b)); }
      else if (isInside[a] && isInside[b]) join(place(a), place(b));
      else if (isInside[b]) { stub(IN, "in", ""); join(IN, place(b)); }
      else if (isInside[a]) { stub(OUT, "out", ""); join(place(a), OUT); }
    }
    if (group.id !== -1) for (const op of model.raw.outputs) if (op < ops && isInside[op]) { stub(OUT, "out", ""); join(place(op), OUT); }
    const ordered = [...inputs, ...[...boxes.values()].filter((box) => !inputs.includes(box))];
    return { model, group, boxes: ordered, pairs: [...lines.values()], lines: [], w: 0, h: 0 };
  }
}
