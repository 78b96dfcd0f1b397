// Upgrades the static page: one selection, shared by all panels and kept in the address.
import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { FieldPanel, MemoryPanel, RooflinePanel } from "./charts";
import { ComparePanel } from "./compare";
import { load, type Node } from "./data";
import { GraphPanel } from "./graph";
import { Icicle } from "./icicle";
import { Store, useStore } from "./store";
import { Table } from "./table";
import { percent } from "./units";
import { serve } from "./worker";

const THEMES = ["auto", "light", "dark"];
function remembered(): string { try { return localStorage.getItem("archprof-theme") ?? "auto"; } catch { return "auto"; } }

function Tools({ store }: { store: Store }) {
  const state = useStore(store);
  const [theme, setTheme] = useState(remembered());
  useEffect(() => {
    if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("archprof-theme", theme); } catch { /* file:// may refuse */ }
  }, [theme]);
  useEffect(() => {
    for (const part of document.querySelectorAll<HTMLElement>("#paper > .model")) part.dataset.shown = String(Number(part.dataset.model) === state.model);
  }, [state.model]);
  return (
    <div class="tools">
      {store.models.length > 1 && <label class="check"><span class="sr">Network</span><select id="model" value={String(state.model)} onChange={(event: any) => store.set({ model: Number(event.currentTarget.value), node: -1 })}>{store.names().map((name, i) => <option value={String(i)}>{name}</option>)}</select></label>}
      <label class="check"><span class="by">colour by</span><select id="metric" aria-label="Metric" value={state.metric} onChange={(event: any) => store.set({ metric: event.currentTarget.value })}>{store.metrics().map((name) => <option value={name}>{store.label(name)}</option>)}</select></label>
      <Search store={store} />
      <nav class="jump" aria-label="Panels">{[...(store.models.length > 1 ? [["compare", "Compare"]] : []), ["cost", "Cost"], ["graph", "Graph"], ["layers", "Layers"], ["roofline", "Roofline"], ["memory", "Memory"], ["field", "Field"], ["paper", "Paper"]].map(([id, name]) => <button type="button" class="link" onClick={() => document.getElementById(id)?.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" })}>{name}</button>)}</nav>
      <button type="button" class="quiet" id="theme" onClick={() => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % 3])} aria-label={`Theme: ${theme}`}>{theme === "dark" ? "\u263e" : theme === "light" ? "\u2600" : "\u25d0"}</button>
      <Help />
    </div>
  );
}

function Search({ store }: { store: Store }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = /INPUT|SELECT|TEXTAREA/.test((event.target as HTMLElement).tagName);
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); field.current?.focus(); field.current?.select(); }
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) { if (typing && (event.target as HTMLInputElement).value) { if (event.target === field.current) setText(""); } else store.select(-1); }
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  const wanted = text.trim().toLowerCase();
  const found = useMemo(() => {
    if (!wanted) return [];
    const hits: Node[] = [];
    for (const node of store.model.nodes.values()) {
      if (node.id !== -1 && (`${store.model.label(node)} ${node.kind}`).toLowerCase().includes(wanted)) hits.push(node);
      if (hits.length >= 60) break;
    }
    return hits.sort((a, b) => store.model.label(a).length - store.model.label(b).length).slice(0, 12);
  }, [wanted, store.state.model]);
  const take = (node?: Node) => { if (node) { store.select(node); setText(""); field.current?.blur(); } };
  return (
    <div class="search">
      <input ref={field} type="text" autocomplete="off" {...({ role: "combobox" } as any)} aria-expanded={found.length > 0} aria-controls="hits" aria-autocomplete="list" aria-activedescendant={found.length ? `hit-${at}` : undefined} aria-label="Search layers" placeholder="Search layers ( / )" value={text}
        onInput={(event: any) => { setText(event.currentTarget.value); setAt(0); }}
        onKeyDown={(event: KeyboardEvent) => {
          if (event.key === "ArrowDown") { event.preventDefault(); setAt(Math.min(found.length - 1, at + 1)); }
          if (event.key === "ArrowUp") { event.preventDefault(); setAt(Math.max(0, at - 1)); }
          if (event.key === "Enter") take(found[at]);
        }} />
      <ul id="hits" role="listbox" aria-label="Found layers" hidden={!wanted}>
        {found.map((node, i) => <li id={`hit-${i}`} role="option" aria-selected={i === at} onMouseDown={(event: MouseEvent) => { event.preventDefault(); take(node); }}><b>{store.model.label(node)}</b> <span>{node.kind}</span></li>)}
        {wanted && !found.length && <li role="option" aria-disabled="true" aria-selected={false}>nothing is called so</li>}
      </ul>
    </div>
  );
}

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const key = (event: KeyboardEvent) => { if (event.key === "?" && !/INPUT|SELECT|TEXTAREA/.test((event.target as HTMLElement).tagName)) dialog.current?.showModal(); };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  const rows = [["/", "search"], ["Esc", "select the whole network, close"], ["?", "this help"], ["\u2191 \u2193", "row up, down in the table"], ["\u2192 \u2190", "open, close a module in table and graph"], ["Home End", "first, last row"], ["Enter", "table: show in the graph; graph: open; picture: zoom"], ["Space", "select"], ["Ctrl + wheel", "zoom the graph; drag moves it"]];
  return (
    <>
      <button type="button" class="quiet" aria-label="Help" onClick={() => dialog.current?.showModal()}>?</button>
      <dialog ref={dialog} aria-labelledby="help-heading"><h2 id="help-heading">Keys</h2><dl>{rows.map(([keys, what]) => <div><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div>)}</dl>
        <p class="note">A click anywhere selects a layer or module, in all panels at once; the address keeps it.</p><form method="dialog"><button>Close</button></form></dialog>
    </>
  );
}

function Inspector({ store }: { store: Store }) {
  const state = useStore(store);
  const { model, node } = store;
  const ops = node.id >= 0;
  const rows = Object.entries(store.columns).filter(([name]) => model.raw.values[name]).map(([name]) => [name, model.cell(name, node)]).filter(([, cell]) => cell !== "-" && cell !== "0");
  const [tall, setTall] = useState(false);
  const gap = ops ? model.raw.gaps.find(([op]: [number]) => op === node.id) : null;
  const shown = tall ? rows : rows.slice(0, 6);
  const priority = ["macs", "params", "flops", "activation_bytes", "param_bytes", "measured_s"];
  shown.sort((a, b) => (priority.indexOf(a[0]) + 99) % 99 - (priority.indexOf(b[0]) + 99) % 99);
  return (
    <aside class="card inspector" aria-label="Selection">
      <p class="crumb">{model.above(node).slice(0, -1).map((part) => <><button type="button" class="link" onClick={() => store.select(part)}>{part.id === -1 ? model.raw.name : part.name}</button><span aria-hidden="true"> / </span></>)}</p>
      <h2 id="chosen">{node.id === -1 ? model.raw.name : node.name}</h2>
      <p class="note">{node.kind}{node.shape ? ` \u00b7 ${node.shape}` : ""}{ops ? "" : ` \u00b7 ${node.ops.length.toLocaleString("en-US")} op${node.ops.length === 1 ? "" : "s"}`}</p>
      <p class="big"><b>{model.cell(state.metric, node)}</b> <span>{store.label(state.metric)}</span> <em>{percent(model.share(state.metric, node))}</em></p>
      <div class="meter" aria-hidden="true"><i style={{ width: `${Math.min(100, 100 * model.share(state.metric, node))}%` }} /></div>
      {gap && <p class="alarm">unknown: {gap[1]}</p>}
      <dl class="facts">
        {shown.map(([name, cell]) => <div title={store.columns[name].meaning}><dt>{store.label(name)}</dt><dd>{cell}</dd></div>)}
        {ops && ["weights", "settings", "formula"].map((name) => model.text(name, node.id) && <div class="wide"><dt>{name === "formula" ? "MACs" : name}</dt><dd class="code">{model.text(name, node.id)}</dd></div>)}
      </dl>
      {rows.length > 6 && <button type="button" class="link" onClick={() => setTall(!tall)}>{tall ? "less" : `${rows.length - 6} more`}</button>}
      <p class="sr" role="status" aria-live="polite">{`${model.label(node)} selected: ${store.label(state.metric)} ${model.cell(state.metric, node)}, ${percent(model.share(state.metric, node)) || "0"}`}</p>
    </aside>
  );
}

function App({ store }: { store: Store }) {
  useStore(store);
  return (
    <div class="app">
      <div class="panels">
        {store.models.length > 1 && <ComparePanel store={store} />}
        <Icicle store={store} />
        <GraphPanel store={store} />
        <Table store={store} />
        <div class="pair"><RooflinePanel store={store} /><MemoryPanel store={store} /></div>
        <FieldPanel store={store} />
      </div>
      <Inspector store={store} />
    </div>
  );
}

async function main() {
  const { columns, models, diffs, summary } = await load();
  const store = new Store(models, columns, summary, diffs);
  render(<App store={store} />, document.getElementById("app")!);
  render(<Tools store={store} />, document.getElementById("tools")!);
  document.documentElement.classList.add("live");
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

if (typeof document === "undefined") serve(); else main().catch((error) => {
  console.error(error);
  document.getElementById("app")!.textContent = "This browser cannot show the interactive part; the page below is complete.";
});
