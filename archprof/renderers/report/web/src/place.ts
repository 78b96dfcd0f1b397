// One level of boxes laid out by dagre, never compound: that is what makes dagre slow. What is left of its cost are long
// edges, a dummy node a rank each; where there are too many, the longest are drawn beside the boxes instead.
import { Graph, layout } from "@dagrejs/dagre";

export interface Point { x: number; y: number }
export interface Line { from: number; to: number; points: Point[] }
export interface Job { boxes: [number, number, number][]; pairs: [number, number][] } // boxes: id, width, height
export interface Placed { at: Point[]; lines: Line[]; w: number; h: number }

const DUMMIES = 200;
const LANES = 24;

// How many ranks an edge spans at least; one that goes back in the order of the boxes counts as short.
function spans({ boxes, pairs }: Job): number[] {
  const order = new Map(boxes.map(([id], i) => [id, i]));
  const rank = new Array(boxes.length).fill(0);
  const reads: number[][] = boxes.map(() => []);
  for (const [a, b] of pairs) if (order.get(a)! < order.get(b)!) reads[order.get(b)!].push(order.get(a)!);
  reads.forEach((from, i) => { for (const a of from) rank[i] = Math.max(rank[i], rank[a] + 1); });
  return pairs.map(([a, b]) => Math.max(1, rank[order.get(b)!] - rank[order.get(a)!]));
}

export function place(job: Job): Placed {
  const long = spans(job);
  const order = job.pairs.map((_, i) => i).sort((a, b) => long[a] - long[b]);
  let dummies = 0;
  const beside: [number, number, number][] = [];
  const graph = new Graph({ multigraph: false, compound: false });
  graph.setGraph({ rankdir: "TB", nodesep: 16, ranksep: 22, edgesep: 8, marginx: 4, marginy: 4 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, width, height] of job.boxes) graph.setNode(String(id), { width, height });
  const within = new Set<number>();
  for (const i of order) {
    dummies += long[i] - 1;
    if (dummies > DUMMIES) beside.push([...job.pairs[i], long[i]]); else within.add(i);
  }
  job.pairs.forEach(([a, b], i) => { if (within.has(i)) graph.setEdge(String(a), String(b), {}); });
  layout(graph);
  const at = job.boxes.map(([id]) => { const { x, y } = graph.node(String(id)) as any; return { x, y }; });
  const { width = 0, height = 0 } = graph.graph() as any;
  const lines: Line[] = graph.edges().map((edge: any) => ({ from: Number(edge.v), to: Number(edge.w), points: (graph.edge(edge) as any).points }));
  const places = new Map(job.boxes.map(([id, w], i) => [id, { ...at[i], right: at[i].x + w / 2 }]));
  const longest = Math.max(1, ...beside.map(([, , span]) => span));
  for (const [from, to, span] of beside) {
    const one = places.get(from)!, other = places.get(to)!;
    const x = width + 6 + 4 * Math.ceil((LANES * span) / longest);
    lines.push({ from, to, points: [{ x: one.right, y: one.y }, { x, y: one.y }, { x, y: (one.y + other.y) / 2 }, { x, y: other.y }, { x: other.right, y: other.y }] });
  }
  return { at, lines, w: width + (beside.length ? 4 * LANES + 10 : 0), h: height };
}
