// Room for nodes and for what they are called, around what the forces of layout.worker.ts say: what hangs together
// stands together, beside what does not, and no node on another's name. Pure, and the same every time.

export interface Box {
  id: string;
  x: number; // Of its middle.
  y: number;
  width: number;
  height: number;
}

interface Bounds {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

// Between two parts of the graph, beside their nodes' own margins.
const GAP = 36;

const ROUNDS_MAX = 200;

// A heap is first drawn out to so many times the room of its boxes: pushing alone takes many rounds.
const DRAWN_OUT = 1.4;

/** What hangs together, the largest first; each from its most connected node on, neighbours soon after each other. */
export function parts(nodes: readonly string[], edges: readonly [string, string][]): string[][] {
  const near = new Map<string, Set<string>>(nodes.map((id) => [id, new Set()]));
  for (const [a, b] of edges) {
    if (a === b) continue;
    near.get(a)?.add(b);
    near.get(b)?.add(a);
  }
  const degree = (id: string): number => near.get(id)?.size ?? 0;
  const seen = new Set<string>();
  const found: string[][] = [];
  for (const first of [...nodes].sort((a, b) => degree(b) - degree(a) || (a < b ? -1 : 1))) {
    if (seen.has(first)) continue;
    seen.add(first);
    const part = [first];
    for (const id of part) {
      for (const other of [...(near.get(id) ?? [])].sort()) {
        if (seen.has(other)) continue;
        seen.add(other);
        part.push(other);
      }
    }
    found.push(part);
  }
  return found.sort((a, b) => b.length - a.length);
}

/** Turns a part so that it is as wide as it can be, or as high. */
export function turn(boxes: readonly Box[], wide: boolean): void {
  const mean = (of: (box: Box) => number): number => boxes.reduce((sum, box) => sum + of(box), 0) / boxes.length;
  const x = mean((box) => box.x);
  const y = mean((box) => box.y);
  const xx = mean((box) => (box.x - x) ** 2);
  const yy = mean((box) => (box.y - y) ** 2);
  const xy = mean((box) => (box.x - x) * (box.y - y));
  const angle = Math.atan2(2 * xy, xx - yy) / 2 + (wide ? 0 : Math.PI / 2);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  for (const box of boxes) {
    const [dx, dy] = [box.x - x, box.y - y];
    box.x = dx * cos + dy * sin;
    box.y = dy * cos - dx * sin;
  }
}

function pushApart(a: Box, b: Box): boolean {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const overX = (a.width + b.width) / 2 - Math.abs(dx);
  const overY = (a.height + b.height) / 2 - Math.abs(dy);
  const least = 0.5;
  if (overX <= least || overY <= least) return false;
  if (overX < overY) {
    const move = ((dx < 0 ? -1 : 1) * overX) / 2;
    a.x -= move;
    b.x += move;
  } else {
    const move = ((dy < 0 ? -1 : 1) * overY) / 2;
    a.y -= move;
    b.y += move;
  }
  return true;
}

/** Draws a heap out to about the room that its boxes need. */
export function drawOut(boxes: readonly Box[]): void {
  const { left, right, bottom, top } = bounds(boxes);
  const needed = boxes.reduce((sum, { width, height }) => sum + width * height, 0) * DRAWN_OUT;
  const factor = Math.sqrt(needed / Math.max(1, (right - left) * (top - bottom)));
  if (factor <= 1) return;
  const [x, y] = [(left + right) / 2, (bottom + top) / 2];
  for (const box of boxes) {
    box.x = x + (box.x - x) * factor;
    box.y = y + (box.y - y) * factor;
  }
}

/** Moves boxes off each other, each about as little as that takes. */
export function spread(boxes: readonly Box[]): void {
  const cellX = Math.max(1, ...boxes.map((box) => box.width));
  const cellY = Math.max(1, ...boxes.map((box) => box.height));
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const cells = new Map<string, Box[]>();
    let moved = false;
    for (const box of boxes) {
      const [column, row] = [Math.floor(box.x / cellX), Math.floor(box.y / cellY)];
      for (let c = column - 1; c <= column + 1; c += 1) {
        for (let r = row - 1; r <= row + 1; r += 1) {
          for (const other of cells.get(`${c} ${r}`) ?? []) moved = pushApart(other, box) || moved;
        }
      }
      const own = `${column} ${row}`;
      cells.set(own, [...(cells.get(own) ?? []), box]);
    }
    if (!moved) return;
  }
}


export function bounds(boxes: readonly Box[]): Bounds {
  const found = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const { x, y, width, height } of boxes) {
    found.left = Math.min(found.left, x - width / 2);
    found.right = Math.max(found.right, x + width / 2);
    found.bottom = Math.min(found.bottom, y - height / 2);
    found.top = Math.max(found.top, y + height / 2);
  }
  return found;
}

interface Sized extends Bounds {
  boxes: readonly Box[];
  width: number;
  height: number;
}

function rowsOf(sized: readonly Sized[], widthMax: number): Sized[][] {
  const rows: Sized[][] = [];
  let width = Infinity;
  for (const part of sized) {
    width += part.width;
    if (width > widthMax) {
      rows.push([]);
      width = part.width;
    }
    rows.at(-1)?.push(part);
  }
  return rows;
}

const widthOf = (row: readonly Sized[]): number => row.reduce((sum, part) => sum + part.width, 0);
const heightOf = (row: readonly Sized[]): number => Math.max(...row.map((part) => part.height));

/** Puts parts in rows, the highest first, as large as they can be drawn in what is `aspect` times as wide as high. */
export function pack(all: readonly Box[][], aspect: number): void {
  const sized = all.map((boxes) => {
    const found = bounds(boxes);
    return { ...found, boxes, width: found.right - found.left + GAP, height: found.top - found.bottom + GAP };
  });
  sized.sort((a, b) => b.height - a.height);
  const widest = Math.max(0, ...sized.map((part) => part.width));
  const ideal = Math.sqrt(sized.reduce((sum, part) => sum + part.width * part.height, 0) * aspect);
  const tries = [0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5, 1.75, 2].map((factor) => rowsOf(sized, Math.max(widest, ideal * factor)));
  const need = (rows: Sized[][]): number =>
    Math.max(...rows.map(widthOf), aspect * rows.reduce((sum, row) => sum + heightOf(row), 0));
  const rows = tries.reduce((best, one) => (need(one) < need(best) ? one : best));
  let top = 0;
  for (const row of rows) {
    let left = -widthOf(row) / 2;
    for (const part of row) {
      for (const box of part.boxes) {
        box.x += left + GAP / 2 - part.left;
        box.y += top - part.top;
      }
      left += part.width;
    }
    top -= heightOf(row);
  }
}
