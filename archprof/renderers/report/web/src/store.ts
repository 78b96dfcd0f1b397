// What all panels share: which network, which node, which metric. The address keeps it.
import { useEffect, useReducer } from "preact/hooks";
import type { Column, Model, Node, Summary } from "./data";

export interface State { model: number; node: number; metric: string; view: "icicle" | "treemap" }
const METRICS = ["measured_s", "macs", "flops", "params", "param_bytes", "activation_bytes", "time_s", "bytes_read"];

export class Store {
  state: State = { model: 0, node: -1, metric: "macs", view: "icicle" };
  isWanted = false; // the graph is to take the focus
  private listeners = new Set<() => void>();
  constructor(public models: Model[], public columns: Record<string, Column>, public summary: Summary, public diffs: any[]) {
    this.state.metric = this.metrics()[0] ?? "params";
    this.read();
    window.addEventListener("hashchange", () => this.read());
  }
  get model() { return this.models[this.state.model]; }
  get node(): Node { return this.model.nodes.get(this.state.node) ?? this.model.root; }
  label(column: string) { return this.summary.labels[column] ?? column; }
  // What networks are called here: equal names have a number behind them.
  names(): string[] {
    const all = this.models.map((model) => model.raw.name);
    return all.map((name, i) => (all.indexOf(name) === i ? name : `${name} (${i + 1})`));
  }
  // Only what is on every op, adds up and comes to something can be shares of a whole.
  metrics(): string[] {
    const convention = this.model.raw.convention;
    const known = [...METRICS.slice(0, 1), ...(convention ? [convention] : []), ...METRICS.slice(1)];
    const sums = known.filter((name) => this.columns[name]?.total === "sum" && this.model.totals[name] > 0);
    return sums.sort((a, b) => Number(b === "macs") - Number(a === "macs"));
  }
  set(change: Partial<State>) {
    const next = { ...this.state, ...change };
    if (Object.entries(next).every(([key, value]) => (this.state as any)[key] === value)) return;
    this.state = next;
    if (!this.metrics().includes(next.metric)) this.state.metric = this.metrics()[0] ?? "params";
    const parts = new URLSearchParams();
    if (this.models.length > 1) parts.set("model", this.names()[this.state.model]);
    if (this.state.node !== -1) parts.set("at", this.node.key);
    parts.set("metric", this.state.metric);
    if (this.state.view !== "icicle") parts.set("view", this.state.view);
    try { history.replaceState(null, "", `#${parts}`); } catch { /* an embedded page has no address */ }
    this.listeners.forEach((listener) => listener());
  }
  private read() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const model = Math.max(0, this.names().indexOf(parts.get("model") ?? ""));
    const node = this.models[model].keys.get(parts.get("at") ?? "")?.id ?? -1;
    const metric = this.columns[parts.get("metric") ?? ""] ? parts.get("metric")! : this.state.metric;
    this.set({ model, node, metric, view: parts.get("view") === "treemap" ? "treemap" : "icicle" });
  }
  select(node: Node | number) { this.set({ node: typeof node === "number" ? node : node.id }); }
  // Brings the selection into sight in the graph, with the focus on it.
  reveal() {
    this.isWanted = true;
    document.getElementById("graph")?.scrollIntoView({ block: "start" });
    this.listeners.forEach((listener) => listener());
  }
  listen(listener: () => void) { this.listeners.add(listener); return () => { this.listeners.delete(listener); }; }
}

export function useStore(store: Store): State {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.listen(() => again(0)), [store]);
  return store.state;
}
