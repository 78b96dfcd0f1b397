// The network as boxes: groups open in place, exact repeats stand once, colours are shares of the metric.
import { select } from "d3-selection";
import { zoom, zoomIdentity, zoomTransform, type ZoomBehavior } from "d3-zoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Legend } from "./icicle";
import { arranged, FEW, HEAD, Wiring, type Box, type Level } from "./layout";
import { cut, wide } from "./letters";
import { type Store, useStore } from "./store";
import { level as bin, percent } from "./units";
import { Placer } from "./worker";

const LIMIT = 400;
const placer = new Placer();

function curve(points: { x: number; y: number }[]) {
  const [first, ...rest] = points;
  let path = `M${first.x},${first.y}`;
  if (rest.length < 2) return `${path}${rest.map((p) => `L${p.x},${p.y}`).join("")}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const end = i === rest.length - 2 ? rest[i + 1] : { x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2 };
    path += `Q${rest[i].x},${rest[i].y} ${end.x},${end.y}`;
  }
  return path;
}
export function GraphPanel({ store }: { store: Store }) {
  const state = useStore(store);
  const { model, node } = store;
  const [folds, setFolds] = useState(true);
  const [open, setOpen] = useState<Set<number>>(new Set([-1]));
  const svg = useRef<SVGSVGElement>(null);
  const scene = useRef<SVGGElement>(null);
  const zoomer = useRef<ZoomBehavior<SVGSVGElement, unknown>>(null);
  const wiring = useMemo(() => new Wiring(model, folds), [model, folds]);
  const drawn = wiring.drawn(node);
  const [asked, ask] = useState<Map<number, number>>(new Map());
  const sketch = useMemo(() => wiring.level(model.root, open, asked), [wiring, open, asked]);
  const [level, show] = useState<Level | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isThere = level?.model === model;

  useEffect(() => {
    let isLate = false;
    const patience = setTimeout(() => setBusy(true), 150);
    arranged(sketch, placer).then((found) => { clearTimeout(patience); if (!isLate) { show(found); setBusy(false); } });
    return () => { isLate = true; clearTimeout(patience); };
  }, [sketch]);
  useEffect(() => { setOpen(new Set([-1])); ask(new Map()); }, [model]);
  useEffect(() => { // what was selected elsewhere is to be seen: the modules around it open
    const around = model.above(drawn).slice(0, -1).map((n) => n.id).filter((id) => !open.has(id));
    if (around.length) setOpen(new Set([...open, ...around]));
    ask(wiring.uncovered(drawn, asked));
  }, [state.node, model, folds]);
  const at = (id: number) => scene.current?.querySelector<SVGGElement>(`.node[data-id="${id}"]`) ?? null;
  // Moves the picture where a box is out of sight.
  const see = (box: Element | null) => {
    if (!box || !svg.current || !zoomer.current) return;
    const one = (box.querySelector("rect") ?? box).getBoundingClientRect(), all = svg.current.getBoundingClientRect();
    const move = (low: number, high: number, from: number, to: number) => (low < from ? from - low + 12 : high > to ? Math.max(to - high - 12, from - low + 12) : 0);
    const [x, y] = [move(one.left, one.right, all.left, all.right), move(one.top, one.bottom, all.top, all.bottom)];
    if (x || y) { const k = zoomTransform(svg.current).k; select(svg.current).call(zoomer.current.translateBy, x / k, y / k); }
  };
  useEffect(() => { if (isThere && drawn.id !== -1) see(at(drawn.id)); }, [level, drawn.id]);
  useEffect(() => {
    const box = store.isWanted && isThere && at(drawn.id);
    if (box) { store.isWanted = false; box.focus({ preventScroll: true }); }
  });
  const fit = () => {
    if (!svg.current || !zoomer.current || !level) return;
    const { clientWidth: w, clientHeight: h } = svg.current;
    const k = Math.min(1.1, (w - 20) / level.w, Math.max((h - 20) / level.h, 0.85));
    const x = (w - level.w * k) / 2;
    const y = level.h * k > h ? 8 : (h - level.h * k) / 2;
    select(svg.current).call(zoomer.current.transform, zoomIdentity.translate(x, y).scale(Math.max(0.05, k)));
  };
  useEffect(() => {
    zoomer.current = zoom<SVGSVGElement, unknown>().scaleExtent([0.05, 4])
      .filter((event: any) => (event.type === "wheel" ? event.ctrlKey || event.metaKey || document.activeElement === svg.current : !event.button))
      .on("zoom", (event) => scene.current?.setAttribute("transform", event.transform.toString()));
    select(svg.current!).call(zoomer.current).on("dblclick.zoom", null);
  }, []);
  useEffect(fit, [level]);

  const toggle = (id: number) => { const next = new Set(open); if (!next.delete(id)) next.add(id); setOpen(next); };
  const further = (id: number) => ask(new Map(asked).set(id, (asked.get(id) ?? FEW) + FEW));
  const deeper = () => {
    const next = new Set(open);
    let shown = 0;
    const walk = (n: any) => wiring.entries(n).forEach((child: any) => { shown++; if (child.id < 0) { if (open.has(child.id)) walk(child); else if (shown < LIMIT) next.add(child.id); } });
    walk(model.root);
    setOpen(next);
  };
  const shallower = () => {
    const depth = Math.max(...[...open].map((id) => model.above(model.nodes.get(id) ?? null).length));
    setOpen(new Set([...open].filter((id) => id === -1 || model.above(model.nodes.get(id) ?? null).length < depth)));
  };
  const download = () => {
    if (!level) return;
    const copy = svg.current!.cloneNode(true) as SVGSVGElement;
    const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
    style.textContent = SHEET;
    copy.querySelector("g")!.removeAttribute("transform");
    copy.prepend(style);
    copy.setAttribute("viewBox", `0 0 ${level.w} ${level.h}`);
    copy.setAttribute("width", String(Math.ceil(level.w)));
    copy.setAttribute("height", String(Math.ceil(level.h)));
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = `${model.raw.name.replace(/[^\w.-]+/g, "-")}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  // `times` copies of what is around a level are drawn as one, so that shares in it are of all of them.
  const draw = (at: Level, dx: number, dy: number, times = 1): any => (
    <g transform={`translate(${dx},${dy})`}>
      {at.lines.map((line) => <path class={`wire${line.from === drawn.id || line.to === drawn.id ? " on" : ""}`} d={curve(line.points)} marker-end="url(#arrow)" />)}
      {at.boxes.map((box) => one(box, at, times * box.copies))}
    </g>
  );
  const one = (box: Box, at: Level, copies: number): any => {
    const { x, y, w, h } = { x: box.x - box.w / 2, y: box.y - box.h / 2, w: box.w, h: box.h };
    const { kind, node: part } = box;
    if (kind === "in" || kind === "out") return <circle class="port" cx={box.x} cy={box.y} r={3.5} />;
    if (kind === "more") return <g key="more" class="node more" role="button" tabindex={0} onFocus={(event: FocusEvent) => see(event.currentTarget as Element)}
      onClick={(event: MouseEvent) => { event.stopPropagation(); further(at.group.id); }} onKeyDown={(event: KeyboardEvent) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); further(at.group.id); } }}>
      <rect x={x} y={y} width={w} height={h} rx={6} /><text class="name" x={box.x} y={y + 16} text-anchor="middle">{box.name}</text><text class="about" x={box.x} y={y + 31} text-anchor="middle">{box.about}</text></g>;
    if (!part) return <g class="free"><title>{box.name}</title><text x={box.x} y={box.y + 4} text-anchor="middle">{cut(box.name, w)}</text></g>;
    const sum = (model.value(state.metric, part) ?? 0) * copies;
    const share = sum / (model.totals[state.metric] || 1);
    const chosen = drawn.id === box.id;
    const known = model.value(state.metric, part) !== null;
    const press = () => store.select(part);
    const shape = (
      <g class={`node ${box.kind} c${box.inner ? "x" : bin(share)}${chosen ? " chosen" : ""}`} data-id={box.id} role="button" tabindex={0}
        aria-pressed={chosen} aria-expanded={part.id < 0 ? !!box.inner : undefined} onFocus={(event: FocusEvent) => see(event.currentTarget as Element)}
        onClick={(event: MouseEvent) => { event.stopPropagation(); press(); }}
        onDblClick={(event: MouseEvent) => { event.stopPropagation(); if (part.id < 0) toggle(part.id); }}
        onKeyDown={(event: KeyboardEvent) => {
          if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); press(); if (part.id < 0 && event.key === "Enter") toggle(part.id); }
          if ((event.key === "ArrowRight" && !box.inner && part.id < 0) || (event.key === "ArrowLeft" && box.inner)) { event.stopPropagation(); toggle(part.id); }
        }}>
        <title>{`${model.label(part)}\n${part.kind}${part.shape ? `, ${part.shape}` : ""}\n${model.cell(state.metric, part)}${copies > 1 ? ` each, ${copies} copies` : ""}, ${percent(share) || "0"}`}</title>
        {box.copies > 1 && <rect class="behind" x={x + 4} y={y + 4} width={w} height={h} rx={6} />}
        <rect x={x} y={y} width={w} height={h} rx={box.kind === "merge" ? 19 : 6} />
        <text class="name" x={box.inner ? x + 26 : box.x + (part.id < 0 ? 9 : 0)} y={y + (box.inner ? 19 : 16)} text-anchor={box.inner ? "start" : "middle"}>
          {cut(box.name, w - 12 - (part.id < 0 ? 20 : 0) - (box.copies > 1 ? 14 + wide(`\u00d7${box.copies}`, 12, 700) : 0), 12, 550)}{box.copies > 1 && <tspan class="copies" dx="5">{`\u00d7${box.copies}`}</tspan>}
        </text>
        {!box.inner && <text class="about" x={box.x + (part.id < 0 ? 9 : 0)} y={y + 31} text-anchor="middle">{cut(`${box.about}${known ? (share ? ` \u00b7 ${percent(share)}` : "") : " \u00b7 ?"}`, w - 8 - (part.id < 0 ? 20 : 0), 10.5)}</text>}
        {part.id < 0 && <g class="opener" onClick={(event: MouseEvent) => { event.stopPropagation(); store.select(part); toggle(part.id); }}>
          <rect x={x + 5} y={y + (box.inner ? 7 : 4)} width={15} height={15} rx={3} /><path d={`M${x + 9},${y + (box.inner ? 14.5 : 11.5)}h7${box.inner ? "" : "m-3.5,-3.5v7"}`} />
        </g>}
      </g>
    );
    return <g key={box.id}>{shape}{box.inner && draw(box.inner, x + (w - box.inner.w) / 2, y + HEAD, copies)}</g>;
  };
  return (
    <section class="card" id="graph" aria-labelledby="graph-heading">
      <div class="head">
        <h2 id="graph-heading">Graph</h2>
        <div class="controls">
          <span class="hint" role="status">{isBusy ? "laying out \u2026" : ""}</span>
          <label class="check"><input type="checkbox" checked={folds} onChange={(event: any) => setFolds(event.currentTarget.checked)} />fold repeats</label>
          <div class="switch" role="group" aria-label="Depth">
            <button type="button" onClick={shallower} title="Close the deepest groups">{"depth \u2212"}</button>
            <button type="button" onClick={deeper} title="Open one more level">depth +</button>
          </div>
          <button type="button" onClick={fit}>Fit</button>
          <button type="button" onClick={download}>SVG</button>
        </div>
      </div>
      <svg ref={svg} class="graph" tabindex={0} role="group" aria-label={`Graph of ${model.raw.name}`}>
        <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0.5,1 7.5,4 0.5,7z" class="head" /></marker></defs>
        <g ref={scene}>{isThere && draw(level!, 0, 0)}</g>
      </svg>
      <Legend label={store.label(state.metric)} />
    </section>
  );
}

const SHEET = `text{font:12px system-ui,sans-serif;fill:#161a20}.about,.free text{font-size:11px}.node>rect{fill:#fff;stroke:#8a93a0}
.c1>rect{fill:#fee391}.c2>rect{fill:#fec44f}.c3>rect{fill:#fe9929}.c4>rect{fill:#d95f0e}.c5>rect{fill:#993404}.c5>text{fill:#fff}.cx>rect{fill:#f1f3f6}
.wire{fill:none;stroke:#8a93a0}.head{fill:#8a93a0}.opener{display:none}.port{fill:#8a93a0}.copies{font-weight:700}`;
