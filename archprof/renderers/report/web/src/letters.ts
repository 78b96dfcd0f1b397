// How wide a text is on the page, so that it is cut where its box ends, whatever letters it has.
const known = new Map<string, number>();
let pen: CanvasRenderingContext2D | null = null;

export function wide(text: string, size = 12, weight = 400): number {
  const key = `${weight} ${size} ${text}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  if (!pen) pen = document.createElement("canvas").getContext("2d");
  if (!pen) return text.length * size * 0.56;
  pen.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  const measured = pen.measureText(text).width;
  if (known.size > 20_000) known.clear();
  known.set(key, measured);
  return measured;
}

export function cut(text: string, room: number, size = 12, weight = 400): string {
  if (wide(text, size, weight) <= room) return text;
  const letters = Array.from(text.slice(0, 200)); // a name may have pairs of surrogates
  let low = 0, high = letters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (wide(`${letters.slice(0, middle).join("")}\u2026`, size, weight) <= room) low = middle; else high = middle - 1;
  }
  return low ? `${letters.slice(0, low).join("")}\u2026` : "";
}
