// All layers as a treegrid after WAI-ARIA; TanStack sorts, filters and opens, and only rows in sight are in the page.
import { columnFilteringFeature, constructTable, createExpandedRowModel, createFilteredRowModel, createSortedRowModel, rowExpandingFeature, rowSortingFeature, tableFeatures } from "@tanstack/table-core";
import { storeReactivityBindings } from "@tanstack/table-core/store-reactivity-bindings";
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import type { Node } from "./data";
import { type Store, useStore } from "./store";
import { percent } from "./units";
import { FORMS } from "./copying";

const features = tableFeatures({
  coreReactivityFeature: storeReactivityBindings(),
  rowExpandingFeature, rowSortingFeature, columnFilteringFeature,
  expandedRowModel: createExpandedRowModel(), sortedRowModel: createSortedRowModel(), filteredRowModel: createFilteredRowModel(),
});
const ROW = 30;
// Those that are there, as many as a table has room for beside the graph's card.
const SHOWN = ["params", "macs", "measured_s", "time_s", "flops", "activation_bytes"];
const ROOM = 4;
const PREFIX: Record<string, number> = { k: 1e3, K: 1e3, m: 1e6, M: 1e6, g: 1e9, G: 1e9, T: 1e12 };

function atLeast(text: string): number | null {
  const found = text.trim().match(/^[>\u2265]?=?\s*([\d.]+)\s*([kKmMgGT])?/);
  return found ? Number(found[1]) * (PREFIX[found[2]] ?? 1) : null;
}

export function Table({ store }: { store: Store }) {
  const state = useStore(store);
  const { model } = store;
  const [, again] = useReducer((n: number) => n + 1, 0);
  const [flat, setFlat] = useState(false);
  const [said, say] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const [focus, setFocus] = useState("-1");
  const measures = [...new Set([...(model.raw.convention ? [model.raw.convention] : []), ...SHOWN])].filter((name) => store.columns[name] && model.raw.values[name]).slice(0, ROOM);

  const table = useMemo(() => {
    const text = (id: string, get: (node: Node) => string) => ({ id, accessorFn: get, filterFn: (row: any, column: string, wanted: string) => String(row.getValue(column)).toLowerCase().includes(wanted.toLowerCase()), sortFn: (a: any, b: any, column: string) => String(a.getValue(column)).localeCompare(String(b.getValue(column)), "en", { numeric: true }) });
    const number = (name: string) => ({ id: name, accessorFn: (node: Node) => model.value(name, node) ?? undefined, sortUndefined: "last" as const, sortDescFirst: true,
      filterFn: (row: any, column: string, wanted: string) => { const least = atLeast(wanted); return least === null || (row.getValue(column) ?? -1) >= least; },
      sortFn: (a: any, b: any, column: string) => (a.getValue(column) ?? 0) - (b.getValue(column) ?? 0) });
    const columns: any[] = [text("layer", (node) => model.label(node)), text("type", (node) => node.kind), text("output", (node) => node.shape), ...measures.map(number)];
    const data = flat ? model.root.ops.map((op) => model.nodes.get(op)!) : model.root.children;
    const made: any = constructTable({ features, columns, data, getRowId: (node: Node) => String(node.id), getSubRows: (node: Node) => (flat ? [] : node.children), filterFromLeafRows: true, autoResetExpanded: false } as any);
    return made;
  }, [model, flat]);
  const filters: { id: string; value: string }[] = table.atoms.columnFilters.get();
  const sorting: { id: string; desc: boolean }[] = table.atoms.sorting.get();
  const change = (what: () => void) => { what(); again(0); };
  const rows: any[] = useMemo(() => {
    // While something is searched for, the modules around what was found are open.
    if (filters.length && !flat && table.atoms.expanded.get() !== true) table.setExpanded(true);
    return table.getRowModel().rows;
  }, [table, filters, sorting, table.atoms.expanded.get()]);

  const virtual = useMemo(() => new Virtualizer<HTMLDivElement, HTMLDivElement>({
    count: 0, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 12,
    scrollToFn: elementScroll, observeElementRect, observeElementOffset, onChange: () => again(0),
  }), []);
  virtual.setOptions({ ...virtual.options, count: rows.length });
  useEffect(() => virtual._didMount(), []);
  useEffect(() => virtual._willUpdate());

  const index = (id: string) => rows.findIndex((row) => row.id === id);
  useEffect(() => { // what was selected elsewhere is opened and scrolled to
    const node = store.node;
    if (node.id === -1) return;
    if (!flat && table.atoms.expanded.get() !== true) {
      const open = { ...(table.atoms.expanded.get() as object) } as Record<string, boolean>;
      for (const above of model.above(node).slice(1, -1)) open[String(above.id)] = true;
      table.setExpanded(open);
    }
    const at = table.getRowModel().rows.findIndex((row: any) => row.id === String(node.id));
    setFocus(String(node.id));
    again(0);
    if (at >= 0 && !scroller.current?.contains(document.activeElement)) setTimeout(() => virtual.scrollToIndex(at, { align: "auto" }), 0);
  }, [state.node, model, flat]);

  const go = (at: number) => {
    const to = Math.max(0, Math.min(rows.length - 1, at));
    if (!rows[to]) return;
    setFocus(rows[to].id);
    virtual.scrollToIndex(to, { align: "auto" });
    requestAnimationFrame(() => setTimeout(() => scroller.current?.querySelector<HTMLElement>(`[data-id="${rows[to].id}"]`)?.focus({ preventScroll: true }), 20));
  };
  const key = (event: KeyboardEvent, row: any, at: number) => {
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / ROW) - 2);
    const moves: Record<string, () => void> = {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), Home: () => go(0), End: () => go(rows.length - 1), PageDown: () => go(at + page), PageUp: () => go(at - page),
      ArrowRight: () => (row.subRows.length && !row.getIsExpanded() ? change(() => row.toggleExpanded(true)) : row.subRows.length ? go(at + 1) : undefined),
      ArrowLeft: () => (row.subRows.length && row.getIsExpanded() ? change(() => row.toggleExpanded(false)) : row.parentId !== undefined ? go(rows.findIndex((r) => r.id === row.parentId)) : undefined),
      " ": () => store.select(row.original),
      Enter: () => { store.select(row.original); store.reveal(); },
    };
    if (!moves[event.key] || (event.target as HTMLElement).tagName === "INPUT") return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  };
  const copy = async (form: keyof typeof FORMS) => {
    const heads = ["layer", "type", "output", ...measures];
    const lines = rows.map((row) => [model.label(row.original), row.original.kind, row.original.shape, ...measures.map((name) => String(model.value(name, row.original) ?? ""))]);
    const text = FORMS[form](heads, lines);
    try { await navigator.clipboard.writeText(text); say(`${lines.length} rows copied`); } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area); area.select(); say(document.execCommand("copy") ? `${lines.length} rows copied` : "the browser refused"); area.remove();
    }
    setTimeout(() => say(""), 3000);
  };
  const template = `minmax(9rem, 2fr) minmax(6.2rem, 1fr) minmax(8.2rem, 1fr) ${measures.map((name) => (store.label(name).length > 11 ? "minmax(7.4rem, .8fr)" : "minmax(5.2rem, .8fr)")).join(" ")} minmax(6.2rem, .9fr)`;
  const heads = [["layer", "layer"], ["type", "type"], ["output", "output"], ...measures.map((name) => [name, store.label(name)])];
  const filter = (id: string) => filters.find((one) => one.id === id)?.value ?? "";
  return (
    <section class="card" id="layers" aria-labelledby="layers-heading">
      <div class="head">
        <h2 id="layers-heading">Layers</h2>
        <div class="controls">
          <span class="hint" role="status">{said || `${rows.length.toLocaleString("en-US")} row${rows.length === 1 ? "" : "s"}`}</span>
          <label class="check"><input type="checkbox" checked={flat} onChange={(event: any) => setFlat(event.currentTarget.checked)} />flat</label>
          {!flat && <div class="switch" role="group" aria-label="Modules">
            <button type="button" onClick={() => change(() => table.setExpanded(true))}>open all</button>
            <button type="button" onClick={() => change(() => table.setExpanded({}))}>close all</button>
          </div>}
          <div class="switch" role="group" aria-label="Copy the rows">
            {(Object.keys(FORMS) as (keyof typeof FORMS)[]).map((form, i) => <button type="button" onClick={() => copy(form)} aria-label={`Copy ${form}`}>{i ? form : `Copy ${form}`}</button>)}
          </div>
        </div>
      </div>
      <div class="grid" ref={scroller}>
        <div role="treegrid" aria-label={`Layers of ${model.raw.name}`} aria-rowcount={rows.length + 1} style={{ minWidth: `${29.6 + measures.reduce((sum, name) => sum + (store.label(name).length > 11 ? 7.4 : 5.2), 0)}rem` }}>
          <div role="rowgroup" class="grid-head">
            <div role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
              {heads.map(([id, label]) => {
                const sorted = sorting.find((one) => one.id === id);
                return (
                  <div role="columnheader" class={store.columns[id] ? "num" : ""} aria-sort={sorted ? (sorted.desc ? "descending" : "ascending") : "none"} title={store.columns[id]?.meaning ?? ""}>
                    <button type="button" class="sort" onClick={() => change(() => table.getColumn(id).toggleSorting())}>{label}<span aria-hidden="true">{sorted ? (sorted.desc ? " \u2193" : " \u2191") : ""}</span></button>
                    <input type="search" aria-label={`Filter ${label}`} placeholder={store.columns[id] ? "\u2265 1M" : "filter"} value={filter(id)} onInput={(event: any) => { const value = event.currentTarget.value; change(() => table.getColumn(id).setFilterValue(value || undefined)); }} />
                  </div>
                );
              })}
              <div role="columnheader" class="num"><span class="sort">{"share of "}{store.label(state.metric)}</span></div>
            </div>
          </div>
          <div role="rowgroup" style={{ height: `${virtual.getTotalSize()}px`, position: "relative" }}>
            {virtual.getVirtualItems().map((item) => {
              const row = rows[item.index];
              if (!row) return null;
              const part: Node = row.original;
              const share = model.share(state.metric, part);
              const isGroup = part.id < 0;
              const siblings: any[] = flat ? rows : row.parentId ? (table.getRow(row.parentId, true).subRows) : table.getCoreRowModel().rows;
              const focused = focus === row.id || (index(focus) < 0 && item.index === 0);
              return (
                <div key={row.id} role="row" class={`${isGroup ? "group" : "leaf"}${part.id === state.node ? " chosen" : ""}`} data-id={row.id} tabIndex={focused ? 0 : -1} aria-rowindex={item.index + 2} aria-level={row.depth + 1}
                  aria-expanded={row.subRows.length ? row.getIsExpanded() : undefined} aria-selected={part.id === state.node} aria-setsize={siblings.length} aria-posinset={Math.max(1, siblings.findIndex((one) => one.id === row.id) + 1)}
                  style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)`, height: `${ROW}px` }}
                  onClick={() => { setFocus(row.id); store.select(part); }} onKeyDown={(event: KeyboardEvent) => key(event, row, item.index)} onDblClick={() => row.subRows.length && change(() => row.toggleExpanded())}>
                  <div role="gridcell" style={{ paddingLeft: `${0.4 + row.depth * 1.05}rem` }} title={model.label(part)}>
                    {row.subRows.length ? <span class="twist" aria-hidden="true" onClick={(event: MouseEvent) => { event.stopPropagation(); change(() => row.toggleExpanded()); }}>{row.getIsExpanded() ? "\u25be" : "\u25b8"}</span> : <span class="twist" />}
                    {flat ? model.label(part) : part.name}
                  </div>
                  <div role="gridcell" class="soft">{part.kind}</div>
                  <div role="gridcell" class="num">{part.shape}</div>
                  {measures.map((name) => <div role="gridcell" class="num">{model.cell(name, part)}</div>)}
                  <div role="gridcell" class="num share"><i class="bar" style={{ width: `${Math.min(100, 100 * share).toFixed(1)}%` }} /><span>{model.value(state.metric, part) === null ? "-" : percent(share)}</span></div>
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </section>
  );
}
