// Several networks: how much more or less each measure is than the first's, and what became of the first in each other.
import * as Plot from "@observablehq/plot";
import { useMemo, useState } from "preact/hooks";
import { Chart, STYLE } from "./charts";
import type { Model } from "./data";
import { type Store, useStore } from "./store";
import { written } from "./units";

const BARS = ["params", "macs", "activation_bytes", "param_bytes", "measured_s"];
const signed = (value: number | null, unit: string) => (value === null ? "?" : value === 0 ? "0" : `${value > 0 ? "+" : "\u2212"}${written(Math.abs(value), unit)}`);

export function ComparePanel({ store }: { store: Store }) {
  const [which, setWhich] = useState(0);
  const [shown, setShown] = useState("changes");
  const [all, setAll] = useState(false);
  const names = store.names();
  const isLeast = (model: Model, name: string) => model.isPartial(name, model.root); // the total misses an unknown op
  const MEASURES = BARS.filter((name) => store.columns[name] && store.models.every((model) => model.totals[name] !== undefined) && !isLeast(store.models[0], name));
  const rows = useMemo(() => MEASURES.flatMap((name) => store.models.map((model, i) => {
    const first = store.models[0].totals[name] || 1;
    return { measure: store.label(name), name: `${i} ${model.raw.name}`, value: model.totals[name] / first, text: (isLeast(model, name) ? ">" : "") + written(model.totals[name], store.columns[name].unit), i };
  })), []);
  const diff = store.diffs[which];
  const found = diff ? diff.rows.filter((row: any) => (shown === "changes" ? row.status !== "same" : shown === "all" || row.status === shown)) : [];
  const sorted = [...found].sort((a: any, b: any) => Math.abs(b.delta.macs ?? 0) - Math.abs(a.delta.macs ?? 0));
  const listed = all ? sorted : sorted.slice(0, 40);
  return (
    <section class="card" id="compare" aria-labelledby="compare-heading">
      <div class="head"><h2 id="compare-heading">Side by side</h2></div>
      <p class="note">Bars are multiples of {names[0]}; there are none of what it has an unknown amount of.</p>
      <Chart deps={[]} label={`Totals as multiples of ${names[0]}`} make={(width) => Plot.plot({
        width, height: 26 * names.length * MEASURES.length * 0.72 + 60, marginLeft: width < 500 ? 92 : 130, marginRight: 90, style: STYLE,
        x: { grid: true, label: null, axis: "bottom", tickFormat: (d: number) => `${d}\u00d7`, ticks: width < 500 ? 2 : 5 }, y: { axis: null, padding: 0.12 }, fy: { label: null, domain: MEASURES.map((name) => store.label(name)), padding: 0.22 },
        marks: [
          Plot.barX(rows, { x: "value", y: "name", fy: "measure", fill: (d: any) => `var(--s${d.i})`, fillOpacity: 0.85 }),
          Plot.text(rows, { x: "value", y: "name", fy: "measure", text: "text", textAnchor: "start", dx: 5, fill: "var(--ink)" }),
          Plot.ruleX([0], { stroke: "var(--strong)" }),
        ],
      })} />
      <p class="legend">{names.map((name, i) => <span><i class="key" style={{ background: `var(--s${i})` }} />{name}</span>)}</p>
      <Reached store={store} />
      {diff && <div class="diff-panel">
        <div class="head"><h3>Module diff</h3>
          <div class="controls">
            <label class="check">{names[0]} and <select value={String(which)} onChange={(event: any) => setWhich(Number(event.currentTarget.value))}>{store.diffs.map((one: any, i: number) => <option value={String(i)}>{names[i + 1]}</option>)}</select></label>
            <label class="check">show <select value={shown} onChange={(event: any) => setShown(event.currentTarget.value)}>{["changes", "added", "removed", "changed", "moved", "same", "all"].map((one) => <option value={one}>{one}</option>)}</select></label>
          </div>
        </div>
        <p class="note">{diff.told}</p>
        <div class="scroll tall" tabIndex={0} role="region" aria-label={`Changes from ${diff.before} to ${diff.after}`}><table class="plain" id="diff-table"><thead><tr><th scope="col">change</th><th scope="col">layer</th><th scope="col" class="text">what</th><th scope="col">Parameters</th><th scope="col">MACs</th><th scope="col">Activation bytes</th></tr></thead><tbody>
          {listed.map((row: any) => <tr class={row.status}><td class="text">{row.status}</td><th scope="row" class="text"><Where store={store} row={row} after={which + 1} /></th><td class="text what">{row.what}</td><td>{signed(row.delta.params, "count")}</td><td>{signed(row.delta.macs, "count")}</td><td>{signed(row.delta.activation_bytes, "bytes")}</td></tr>)}
        </tbody></table></div>
        {listed.length < sorted.length && <button type="button" onClick={() => setAll(true)}>Show all {sorted.length}</button>}
      </div>}
    </section>
  );
}

// Accuracy against cost, where somebody said what the networks reach.
function Reached({ store }: { store: Store }) {
  const { metric } = useStore(store);
  const points = store.models.map((model, i) => ({ name: model.raw.name, x: model.totals[metric] ?? 0, y: model.raw.accuracy, i })).filter((point) => point.y !== null && point.x > 0);
  if (points.length < 2) return null;
  const unit = store.columns[metric].unit;
  return (
    <div>
      <h3 id="accuracy-heading">Accuracy against {store.label(metric)}</h3>
      <p class="note">Accuracies as given, not measured; costs for the inputs of this page.</p>
      <Chart deps={[metric]} label={`Accuracy against ${store.label(metric)}: ${points.map((point) => `${point.name} ${point.y} at ${written(point.x, unit)}`).join(", ")}`} pick={(point) => store.set({ model: point.i, node: -1 })} make={(width) => Plot.plot({
        width, height: 300, marginLeft: 52, marginRight: 40, marginTop: 28, marginBottom: 40, style: STYLE, insetLeft: 30, insetRight: 30, insetTop: 14, insetBottom: 10,
        x: { type: "log", label: `${store.label(metric)} \u2192`, ticks: 4, tickFormat: (d: number) => written(d, unit).replace(/\.0+(?= |$)/, "") }, y: { label: "\u2191 accuracy", grid: true, nice: true },
        marks: [
          Plot.dot(points, { x: "x", y: "y", r: 6, fill: (d: any) => `var(--s${d.i})` }),
          Plot.text(points, { x: "x", y: "y", text: (d: any) => d.name, dy: -13, fill: "var(--ink)", stroke: "var(--card)", strokeWidth: 3 }),
          Plot.tip(points, Plot.pointer({ x: "x", y: "y", fill: "var(--card)", stroke: "var(--strong)", title: (d: any) => `${d.name}\naccuracy ${d.y}\n${written(d.x, unit)} ${store.label(metric)}` })),
        ],
      })} />
    </div>
  );
}

function Where({ store, row, after }: { store: Store; row: any; after: number }) {
  const model = row.b !== null ? after : 0;
  const name = row.b ?? row.a;
  const node = store.models[model].keys.get(name);
  const text = row.a && row.b && row.a !== row.b ? `${row.a} \u2192 ${row.b}` : name;
  return node ? <button type="button" class="link" onClick={() => { store.set({ model, node: node.id }); }}>{text}</button> : <span>{text}</span>;
}
