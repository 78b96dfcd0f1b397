// Charts by Observable Plot: roofline, memory over a pass, receptive field by depth.
import * as Plot from "@observablehq/plot";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useWidth } from "./icicle";
import { type Store, useStore } from "./store";
import { count, duration, size } from "./units";

const INK = "var(--ink)", SOFT = "var(--soft)", ACCENT = "var(--accent)";
export const STYLE = { background: "transparent", color: "var(--ink)", fontSize: "12px", fontFamily: "inherit", overflow: "visible" };

// Shows a plot; a click on its nearest point is told.
export function Chart({ make, deps, label, pick }: { make: (width: number) => any; deps: any[]; label: string; pick?: (datum: any) => void }) {
  const [ref, width] = useWidth();
  const isFirst = useRef(true);
  useEffect(() => { // the first time when the page is there already: charts stand further down
    const later = isFirst.current ? setTimeout(draw, 0) : (draw(), 0);
    return () => clearTimeout(later);
  }, [width, ...deps]);
  const draw = () => {
    isFirst.current = false;
    const plot = make(width);
    for (const part of plot.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label"); // the picture has one name
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", label);
    const click = () => { if (pick && plot.value) pick(plot.value); };
    plot.addEventListener("click", click);
    ref.current?.replaceChildren(plot);
  };
  return <div class="chart" ref={ref} />;
}

// Powers of ten between two numbers, and multiples of a power of two up to one.
function powers(low: number, high: number): number[] {
  const found = [];
  for (let p = Math.ceil(Math.log10(low)); 10 ** p <= high; p++) found.push(10 ** p);
  return found;
}
function binary(most: number): number[] {
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, most) / 6));
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}
const plain = (d: number) => count(d).replace(/\.0+(?= |$)/, "").replace(/(\.\d*?)0+$/, "$1");

function Missing({ store, what, title, id }: { store: Store; what: string; title: string; id: string }) {
  const why = store.model.raw.missing[what];
  return <section class="card" id={id} aria-label={title}><h2>{title}</h2><p class="note">{why ?? "nothing is known"}</p></section>;
}

export function RooflinePanel({ store }: { store: Store }) {
  const state = useStore(store);
  const { model } = store;
  const found = model.raw.rooflines;
  const [chosen, choose] = useState(0);
  if (!found) return <Missing store={store} what="roofline" title="Roofline" id="roofline" />;
  const device = found.devices[Math.min(chosen, found.devices.length - 1)];
  const k = found.kernels;
  const measured = k.measured_s; // of all its ops, as its work is
  const inside = new Set(store.node.id === -1 ? [] : store.node.ops);
  const alike = new Map<string, any>(); // equal kernels are one dot
  const dots = k.op.map((op: number, i: number) => ({ op, x: k.work[i] / k.moved[i], y: k.work[i] / (measured ?? device.times_s)[i], macs: k.macs[i], time: device.times_s[i], bound: device.bounds[i] === "c" ? "compute" : "memory", name: model.raw.ops.name[op], size: k.size[i] }))
    .filter((d: any) => d.x > 0 && Number.isFinite(d.x) && d.y > 0 && Number.isFinite(d.y))
    .filter((d: any) => {
      const name = `${d.x} ${d.y} ${d.macs} ${inside.has(d.op)}`;
      if (!alike.has(name)) return alike.set(name, { ...d, times: 1 });
      alike.get(name).times++;
      return false;
    }).map((d: any) => alike.get(`${d.x} ${d.y} ${d.macs} ${inside.has(d.op)}`));
  if (!dots.length) return <section class="card" id="roofline" aria-label="Roofline"><h2>Roofline</h2><p class="note">No kernel computes anything, so there is no dot to show.</p></section>;
  const ridge = device.peak / device.bandwidth;
  const xs = dots.map((d: any) => d.x);
  const low = Math.min(0.1, ...xs) / 1.6, high = Math.max(ridge * 4, ...xs) * 1.6;
  const others = found.devices.filter((one: any) => one !== device);
  const roof = (one: any) => [low, one.peak / one.bandwidth, high].map((x) => ({ x, y: Math.min(one.peak, x * one.bandwidth), name: one.name }));
  const bottom = Math.min(low * device.bandwidth, ...dots.map((d: any) => d.y)) / 1.5;
  const top = Math.max(...found.devices.map((one: any) => one.peak)) * 2;
  return (
    <section class="card" id="roofline" aria-labelledby="roofline-heading">
      <div class="head">
        <h2 id="roofline-heading">Roofline</h2>
        <label class="check">device <select value={String(chosen)} onChange={(event: any) => choose(Number(event.currentTarget.value))}>{found.devices.map((one: any, i: number) => <option value={String(i)}>{one.name}</option>)}</select></label>
      </div>
      <p class="note">At least <b>{duration(device.time_s)}</b> on {device.name} in {device.dtype}: {(100 * device.compute_share).toFixed(0)} % of it bound by arithmetic, the rest by memory. Peak {count(device.peak, "FLOP/s")}, {count(device.bandwidth, "B/s")}, ridge {ridge.toFixed(1)} FLOP/B. A bound, no prediction{measured ? "; dots are measured" : ""}.</p>
      <Chart deps={[model, device, state.node, state.model]} label={`Roofline of ${model.raw.name} on ${device.name}`} pick={(d) => d.op !== undefined && store.select(d.op)} make={(width) => Plot.plot({
        width, height: 340, marginLeft: 58, marginBottom: 40, style: STYLE,
        x: { type: "log", domain: [low, high], label: "intensity (FLOP per byte moved) \u2192", ticks: powers(low, high), tickFormat: plain },
        y: { type: "log", domain: [bottom, top], label: "\u2191 FLOP/s", ticks: powers(bottom, top), tickFormat: plain, grid: true },
        r: { range: [2, 11] }, color: { domain: ["compute", "memory"], range: ["var(--s1)", "var(--s0)"], legend: false },
        marks: [
          ...others.map((one: any) => Plot.line(roof(one), { x: "x", y: "y", stroke: "var(--strong)", strokeWidth: 1, clip: true })),
          Plot.line(roof(device), { x: "x", y: "y", stroke: INK, strokeWidth: 1.8, clip: true }),
          Plot.text([...others, device], { x: high, y: (d: any) => d.peak, text: "name", textAnchor: "end", dy: -16, fill: SOFT, stroke: "var(--card)", strokeWidth: 3, fontSize: 10.5 }),
          Plot.dot(dots, { x: "x", y: "y", r: "macs", fill: "bound", fillOpacity: (d: any) => (inside.size && !inside.has(d.op) ? 0.12 : 0.6), stroke: "bound", strokeOpacity: (d: any) => (inside.size && !inside.has(d.op) ? 0.2 : 1), strokeWidth: 0.8 }),
          Plot.tip(dots, Plot.pointer({ x: "x", y: "y", fill: "var(--card)", stroke: "var(--strong)", title: (d: any) => `${d.name}${d.size > 1 ? ` and ${d.size - 1} that ride along` : ""}${d.times > 1 ? `, and ${d.times - 1} equal ones` : ""}\n${count(d.x)} FLOP/B, ${count(d.macs, "MAC")}\nat least ${duration(d.time)}, ${d.bound}-bound` })),
        ],
      })} />
      <p class="legend"><span><i class="key" style={{ background: "var(--s1)" }} />bound by arithmetic</span><span><i class="key" style={{ background: "var(--s0)" }} />bound by memory</span><span>area: MACs; a dot is an op and what a fusing compiler runs with it</span></p>
    </section>
  );
}

const KINDS: [string, string][] = [["parameters", "var(--s0)"], ["buffers", "var(--s7)"], ["inputs", "var(--s6)"], ["KV cache", "var(--s5)"], ["optimizer state", "var(--s3)"], ["gradients", "var(--s4)"], ["activations", "var(--s1)"], ["temporaries", "var(--s2)"]];

function series(pass: any, most: number) {
  const names = KINDS.map(([name]) => name).filter((name) => pass.changes[name]);
  const totals = names.map((name) => {
    const line = new Float64Array(pass.end + 1);
    pass.changes[name][0].forEach((at: number, i: number) => (line[at] += pass.changes[name][1][i]));
    for (let i = 1; i < line.length; i++) line[i] += line[i - 1];
    return line;
  });
  const makers = new Int32Array(pass.end + 1).fill(-1);
  for (const [at, op] of pass.makers) makers[at] = op;
  for (let i = 1; i < makers.length; i++) if (makers[i] < 0) makers[i] = makers[i - 1];
  const all = (i: number) => totals.reduce((sum, line) => sum + line[i], 0);
  const step = Math.max(1, Math.ceil((pass.end + 1) / most));
  const rows: any[] = [];
  const points: any[] = [];
  for (let i = 0; i <= pass.end; i += step) { // of several moments the fullest is shown
    let best = i;
    for (let j = i; j < Math.min(i + step, pass.end + 1); j++) if (all(j) > all(best)) best = j;
    names.forEach((name, n) => rows.push({ at: best, kind: name, bytes: totals[n][best] }));
    points.push({ at: best, total: all(best), op: makers[best] });
  }
  return { names, rows, points };
}

export function MemoryPanel({ store }: { store: Store }) {
  const state = useStore(store);
  const { model } = store;
  const found = model.raw.memory;
  const [chosen, choose] = useState(0);
  const pass = found?.passes[Math.min(chosen, found.passes.length - 1)];
  const data = useMemo(() => pass && series(pass, 700), [pass]);
  if (!found) return <Missing store={store} what="memory" title="Memory over a pass" id="memory" />;
  const inside = new Set(store.node.id === -1 ? [] : store.node.ops);
  const moments = data.points.filter((p: any) => inside.has(p.op));
  return (
    <section class="card" id="memory" aria-labelledby="memory-heading">
      <div class="head"><h2 id="memory-heading">Memory over a pass</h2>
        {found.passes.length > 1 && <label class="check">pass <select value={String(chosen)} onChange={(event: any) => choose(Number(event.currentTarget.value))}>{found.passes.map((one: any, i: number) => <option value={String(i)}>{one.name}</option>)}</select></label>}
      </div>
      <p class="note">Peak <b>{size(pass.peak)}</b> in the {pass.peak_phase} pass; workspace of kernels and fragmentation are not in it. {found.notes.join(". ")}</p>
      <Chart deps={[model, pass, state.node, state.model]} label={`Bytes alive over ${pass.name} of ${model.raw.name}, peak ${size(pass.peak)}`} pick={(d) => d.op >= 0 && store.select(d.op)} make={(width) => Plot.plot({
        width, height: 340, marginLeft: 66, marginBottom: 36, style: STYLE,
        x: { label: "makings and frees, in execution order \u2192", domain: [0, Math.max(1, pass.end)], ticks: 5, tickFormat: plain }, y: { label: "\u2191 bytes alive", domain: [0, pass.peak * 1.15 || 1], ticks: binary(pass.peak), tickFormat: (d: number) => size(d).replace(/\.0+ /, " "), grid: true },
        color: { domain: KINDS.map(([name]) => name), range: KINDS.map(([, colour]) => colour) },
        marks: [
          ...pass.phases.slice(1).map(([name, at]: [string, number]) => Plot.ruleX([at], { stroke: "var(--strong)", strokeDasharray: "3 3" })),
          Plot.areaY(data.rows, Plot.stackY({ x: "at", y: "bytes", fill: "kind", fillOpacity: 0.75, curve: "step-after", order: KINDS.map(([name]) => name) })),
          moments.length ? Plot.tickX(moments, { x: "at", stroke: ACCENT, strokeOpacity: 0.35 }) : null,
          Plot.ruleY([0], { stroke: "var(--strong)" }),
          Plot.dot([{ x: pass.peak_at, y: pass.peak }], { x: "x", y: "y", r: 4, fill: "var(--alarm)" }),
          Plot.text([{ x: pass.peak_at, y: pass.peak }], { x: "x", y: "y", text: () => `peak ${size(pass.peak)}`, dy: -11, textAnchor: pass.peak_at > pass.end / 2 ? "end" : "start", fill: INK, fontWeight: 600 }),
          Plot.tip(data.points, Plot.pointerX({ x: "at", y: "total", fill: "var(--card)", stroke: "var(--strong)", title: (d: any) => `${d.op >= 0 ? model.raw.ops.name[d.op] : "before the pass"}\n${size(d.total)} alive` })),
        ],
      })} />
      <p class="legend">{KINDS.filter(([name]) => data.names.includes(name)).map(([name, colour]) => <span><i class="key" style={{ background: colour }} />{name}</span>)}</p>
      <details><summary>Alive at the peak</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Alive at the peak"><table class="plain"><thead><tr><th scope="col">what</th><th scope="col">kind</th><th scope="col">bytes</th></tr></thead><tbody>
          {pass.at_peak.map(([name, kind, bytes, op]: any) => <tr><th scope="row">{op === null ? name : <button type="button" class="link" onClick={() => store.select(op)}>{name}</button>}</th><td class="text">{kind}</td><td>{size(bytes)}</td></tr>)}
          {pass.others[0] > 0 && <tr><th scope="row">{pass.others[0]} more</th><td class="text" /><td>{size(pass.others[1])}</td></tr>}
        </tbody></table></div>
      </details>
    </section>
  );
}

export function FieldPanel({ store }: { store: Store }) {
  const state = useStore(store);
  const { model } = store;
  const found = model.raw.field;
  const [axis, setAxis] = useState(0);
  if (!found) return <Missing store={store} what="receptive field" title="Receptive field" id="field" />;
  const at = Math.min(axis, found.axes.length - 1);
  const inside = new Set(store.node.id === -1 ? [] : store.node.ops);
  const points = found.op.map((op: number, i: number) => ({ op, depth: found.depth[i], size: found.size[i][at], stride: found.stride[i][at], whole: found.is_whole[i][at], name: model.raw.ops.name[op] }));
  if (!points.length) return <section class="card" id="field" aria-label="Receptive field"><h2>Receptive field by depth</h2><p class="note">No op sees more of {found.input} than its own position{found.unknown ? `; of ${count(found.unknown)} op${found.unknown === 1 ? "" : "s"} it is not known` : ""}.</p></section>;
  const links = found.links.map(([a, b]: [number, number]) => ({ x1: points[a].depth, y1: points[a].size, x2: points[b].depth, y2: points[b].size }));
  const differ = found.size.some((row: number[]) => new Set(row).size > 1) || new Set(found.sizes).size > 1;
  return (
    <section class="card" id="field" aria-labelledby="field-heading">
      <div class="head"><h2 id="field-heading">Receptive field by depth</h2>
        {differ && found.axes.length > 1 && <label class="check">axis <select value={String(at)} onChange={(event: any) => setAxis(Number(event.currentTarget.value))}>{found.axes.map((n: number, i: number) => <option value={String(i)}>{n} ({found.sizes[i]})</option>)}</select></label>}
      </div>
      <p class="note">Positions of {found.input} that one output sees, first to last, as if the input had no borders; hollow dots see all of it{found.unknown ? `; of ${count(found.unknown)} op${found.unknown === 1 ? "" : "s"} it is not known` : ""}.</p>
      <Chart deps={[model, at, state.node, state.model]} label={`Receptive field by depth of ${model.raw.name}`} pick={(d) => d.op !== undefined && store.select(d.op)} make={(width) => Plot.plot({
        width, height: 340, marginLeft: 52, marginBottom: 36, style: STYLE,
        x: { label: "depth, in ops that widen it \u2192", domain: [0, Math.max(1, ...found.depth)], ticks: Math.min(6, Math.max(1, ...found.depth)), tickFormat: plain },
        y: { label: "\u2191 positions", domain: [0, Math.max(found.sizes[at], ...points.map((point: any) => point.size)) * 1.05], grid: true, tickFormat: plain },
        marks: [
          Plot.ruleY([found.sizes[at]], { stroke: SOFT, strokeDasharray: "4 3" }),
          Plot.text([found.sizes[at]], { y: (d: number) => d, text: (d: number) => `the input, ${d}`, frameAnchor: "left", textAnchor: "start", dx: 4, dy: -7, fill: SOFT }),
          Plot.link(links, { x1: "x1", y1: "y1", x2: "x2", y2: "y2", stroke: "var(--strong)", strokeWidth: 1 }),
          Plot.dot(points, { x: "depth", y: "size", r: (d: any) => (inside.has(d.op) ? 5.5 : 3.4), fill: (d: any) => (d.whole ? "var(--card)" : inside.has(d.op) ? "var(--s1)" : "var(--s0)"), stroke: (d: any) => (inside.has(d.op) ? "var(--s1)" : "var(--s0)"), strokeWidth: 1.4 }),
          Plot.tip(points, Plot.pointer({ x: "depth", y: "size", fill: "var(--card)", stroke: "var(--strong)", title: (d: any) => `${d.name}\n${d.size} positions${d.stride ? `, stride ${d.stride}` : ""}${d.whole ? ", the whole input" : ""}` })),
        ],
      })} />
    </section>
  );
}
