// Lays levels out beside the page, in a worker whose source is this very script; where no worker may run, on the page itself.
import { place, type Job, type Placed } from "./place";

const SOURCE = typeof document === "undefined" ? "" : (document.currentScript?.textContent ?? "");
const KEPT = 400;

// What the script does where it is the worker.
export function serve() {
  self.onmessage = ({ data: [number, job] }: MessageEvent) => { (self as any).postMessage([number, place(job)]); };
}

export class Placer {
  isInline = false;
  private worker: Worker | null = null;
  private waiting = new Map<number, [Job, (placed: Placed) => void]>();
  private known = new Map<string, Promise<Placed>>();
  private number = 0;

  place(job: Job): Promise<Placed> {
    const key = JSON.stringify(job);
    const found = this.known.get(key);
    if (found) return found;
    const made = new Promise<Placed>((done) => this.ask(job, done));
    if (this.known.size >= KEPT) this.known.clear();
    this.known.set(key, made);
    return made;
  }
  private ask(job: Job, done: (placed: Placed) => void) {
    if (!this.worker && !this.isInline) this.start();
    if (this.isInline) return done(place(job));
    this.waiting.set(++this.number, [job, done]);
    this.worker!.postMessage([this.number, job]);
  }
  private start() {
    try {
      const address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
      this.worker = new Worker(address);
      this.worker.onmessage = ({ data: [number, placed] }) => { this.waiting.get(number)?.[1](placed); this.waiting.delete(number); };
      this.worker.onerror = (event) => { event.preventDefault(); this.fall(); };
    } catch { this.fall(); }
  }
  private fall() {
    this.isInline = true;
    this.worker?.terminate();
    const left = [...this.waiting.values()];
    this.waiting.clear();
    for (const [job, done] of left) done(place(job));
  }
}
