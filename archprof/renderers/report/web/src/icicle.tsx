// Where the cost is: an icicle (left the network, widths are shares) or a treemap, laid out by d3-hierarchy.
import { hierarchy, partition, treemap } from "d3-hierarchy";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Node } from "./data";
import { cut, wide } from "./letters";
import { type Store, useStore } from "./store";
import { level, percent } from "./units";

export function useWidth(): [any, number] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(900);
  useEffect(() => {
    const measure = () => ref.current && setWidth(Math.max(240, Math.floor(ref.current.clientWidth)));
    measure();
    const watch = new ResizeObserver(measure);
    if (ref.current) watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

function boxes(store: Store, root: Node, width: number, height: number) {
  const { metric, view } = store.state;
  const { model } = store;
  const tree = hierarchy<Node>(root, (node) => node.children).sum((node) => (node.id >= 0 ? Math.max(0, Number(model.value(metric, node) ?? 0)) : 0));
  if (view === "treemap") {
    treemap<Node>().size([width, height]).paddingOuter(1).paddingInner(1).paddingTop((d) => (d.depth && d.height && d.y1 - d.y0 > 30 ? 17 : 1)).round(false)(tree);
    return tree.descendants().filter((d: any) => d.depth && d.x1 - d.x0 >= 0.5 && d.y1 - d.y0 >= 0.5)
      .map((d: any) => ({ node: d.data, x: d.x0, y: d.y0, w: d.x1 - d.x0, h: d.y1 - d.y0, inner: d.height > 0 }));
  }
  partition<Node>().size([height, 1])(tree);
  const seen = tree.descendants().filter((d: any) => d.x1 - d.x0 >= 1); // what is narrower nobody sees
  const depth = Math.min(Math.max(...seen.map((d) => d.depth)) + 1, 7);
  // Left is the network; the columns share the width, so that names have room.
  const column = width / depth;
  return seen.filter((d) => d.depth < depth)
    .map((d: any) => ({ node: d.data, x: d.depth * column, y: d.x0, w: d.height ? column : width - d.depth * column, h: d.x1 - d.x0, inner: d.height > 0 }));
}

export function Icicle({ store }: { store: Store }) {
  const state = useStore(store);
  const [ref, width] = useWidth();
  const height = width < 500 ? 420 : 460;
  const { model, node } = store;
  const [zoomed, zoom] = useState(-1);
  const root = model.nodes.get(zoomed) ?? model.root;
  useEffect(() => { if (!model.above(node).includes(root)) zoom(-1); }, [state.model, state.node]);
  const found = useMemo(() => boxes(store, root, width, height), [state.model, state.metric, state.view, root, width, height]);
  const chosen = new Set(model.above(node).map((n) => n.id));
  return (
    <section class="card" id="cost" aria-labelledby="cost-heading">
      <div class="head">
        <h2 id="cost-heading">Where the cost is</h2>
        <div class="controls">
          <div class="switch" role="group" aria-label="Kind of picture">
            {(["icicle", "treemap"] as const).map((view) => (
              <button type="button" aria-pressed={state.view === view} onClick={() => store.set({ view })}>{view}</button>
            ))}
          </div>
        </div>
      </div>
      <nav class="crumbs" aria-label="Zoomed to">
        {model.above(root).map((part, i, all) => i === all.length - 1
          ? <span aria-current="true">{part.id === -1 ? model.raw.name : part.name}</span>
          : <button type="button" class="link" onClick={() => zoom(part.id)}>{part.id === -1 ? model.raw.name : part.name}</button>)}
        <span class="hint">{root.id === -1 ? "click selects, double click or Enter zooms into a module" : ""}</span>
      </nav>
      {!model.totals[state.metric] && <p class="note">No op of this network has any {store.label(state.metric)}.</p>}
      <div ref={ref}>
        <svg class="icicle" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={`${store.label(state.metric)} of ${model.raw.name} by module`}>
          {found.map(({ node: part, x, y, w, h, inner }) => {
            const share = model.share(state.metric, part);
            const bin = level(share);
            const label = h >= 12 && w > 34;
            const text = part.id === -1 ? model.raw.name : part.id < 0 && part.kind !== "module" ? `${part.name}  ${part.kind}` : part.name;
            const room = Math.max(0, Math.min(w, width - x) - 10);
            const shown = label ? cut(text.replace(/\s+/g, " "), room) : "";
            const tip = percent(share);
            const open = () => part.children.length && zoom(part.id);
            return (
              <g key={part.id} class={`box c${bin}${chosen.has(part.id) ? " on" : ""}${part.id === state.node ? " chosen" : ""}`} data-id={part.id} data-key={part.key}
                role="button" tabindex={h >= 8 ? 0 : -1} aria-pressed={part.id === state.node}
                onClick={() => store.select(part)} onDblClick={open}
                onKeyDown={(event: KeyboardEvent) => { if (event.key === "Enter") { store.select(part); open(); } else if (event.key === " ") { event.preventDefault(); store.select(part); } }}>
                <title>{`${model.label(part)}\n${part.kind}${part.shape ? `, ${part.shape}` : ""}\n${model.cell(state.metric, part)}, ${tip || "0"}`}</title>
                <rect x={x + 0.5} y={y + 0.5} width={Math.max(0.4, w - 1)} height={Math.max(0.4, h - 1)} rx={h > 8 ? 2 : 0} />
                {label && <text x={x + 6} y={state.view === "treemap" && inner ? y + 12.5 : y + Math.min(h / 2 + 4, 18)}>
                  {shown}
                  {tip && wide(shown) + 8 + wide(tip, 11) <= room && <tspan class="share" dx="6">{tip}</tspan>}
                </text>}
              </g>
            );
          })}
        </svg>
      </div>
      <Legend label={store.label(state.metric)} />
    </section>
  );
}

export function Legend({ label }: { label: string }) {
  return (
    <p class="legend" aria-label="Colours"><span>share of {label}:</span>
      {["< 1 %", "1\u20132", "2\u20135", "5\u201310", "10\u201320", "\u2265 20 %"].map((name, bin) => <span><i class={`key c${bin}`} />{name}</span>)}
    </p>
  );
}
