// Places nodes, off the main thread, in about the pixels of a graph that need not be shrunk. What was placed stays
// near where it was: a changed part of the graph starts from the old positions and settles briefly. Nodes that talk
// to nobody stand in a grid below.
import Graph from 'graphology';
import forceAtlas2 from 'graphology-layout-forceatlas2';
import noverlap from 'graphology-layout-noverlap';
import { type Box, bounds, drawOut, pack, parts, spread, turn } from './placing';

export interface LayoutRequest {
  version: number;
  fresh: boolean;
  nodes: string[];
  widths: number[]; // Of each node with its name (pixels).
  edges: [string, string][];
  aspect: number; // The width of what it is drawn in, of its height.
}

export interface LayoutResult {
  version: number;
  positions: Record<string, { x: number; y: number }>;
}

interface At {
  x: number;
  y: number;
  size: number;
  [key: string]: unknown;
}
type Placed = Graph<At>;

const SPACING = 46;

// A node of the largest size with the two lines below it.
const HEIGHT = 84;

// As long are most edges before nodes are moved off each other; of a few nodes there is room for what edges say.
const EDGE = 104;
const EDGE_OF_FEW = 200;
const FEW = 8;

// Of more, names are left out where there is no room for them, so nodes keep room for themselves alone.
const NAMED_MAX = 150;

// More are placed as one, without regard to what hangs together: a hairball has one part.
const PARTED_MAX = 400;

// Placing more takes seconds: fewer steps, in which most of what they reach is reached.
const LARGE = 1500;
const known = new Map<string, { x: number; y: number }>();
let added = 0; // Since all were placed.

// Sunflower: even, and the same every time.
function seed(index: number): { x: number; y: number } {
  const angle = index * 2.399963;
  const radius = SPACING * Math.sqrt(index + 0.5);
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
}

// Nodes that push each other away cannot pass each other: they are moved apart afterwards.
function settle(graph: Placed, iterations: number): void {
  forceAtlas2.assign(graph, {
    iterations,
    settings: { gravity: 0.9, scalingRatio: 90, slowDown: 4, barnesHutOptimize: graph.order > 400, adjustSizes: false },
  });
}

function placeLarge(graph: Placed, fresh: boolean): void {
  settle(graph, fresh ? (graph.order > LARGE ? 120 : 400) : 40);
  noverlap.assign(graph, {
    maxIterations: graph.order > LARGE ? 20 : 120,
    settings: { margin: SPACING * 0.55, ratio: 1.1, expansion: 1.06 },
  });
}

function partOf(ids: string[], edges: [string, string][], at: (id: string, index: number) => { x: number; y: number }): Placed {
  const graph: Placed = new Graph<At>({ type: 'undirected', multi: false });
  ids.forEach((id, index) => graph.addNode(id, { ...at(id, index), size: SPACING * 0.5 }));
  for (const [a, b] of edges) {
    if (a !== b && graph.hasNode(a) && graph.hasNode(b) && !graph.hasEdge(a, b)) graph.addEdge(a, b);
  }
  return graph;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 1;
}

// Names are wider than high; and what fills the window by itself takes its shape.
function stretch(count: number, aspect: number): number {
  const named = aspect >= 1 ? 1.3 : 1;
  return named + Math.max(0, aspect - named) * Math.min(1, count / 100);
}

/** A part by itself, turned and stretched to the shape of what it is drawn in. */
function placePart(ids: string[], boxes: Map<string, Box>, edges: [string, string][], aspect: number): Box[] {
  const graph = partOf(ids, edges, (_, index) => seed(index));
  settle(graph, 400);
  const lengths = graph.mapEdges((_, _attributes, _a, _b, a, b) => Math.hypot(a.x - b.x, a.y - b.y));
  const scale = (ids.length <= FEW && boxes.size <= FEW ? EDGE_OF_FEW : EDGE) / Math.max(1, median(lengths));
  const placed = ids.flatMap((id) => boxes.get(id) ?? []);
  for (const box of placed) {
    const { x, y } = graph.getNodeAttributes(box.id);
    [box.x, box.y] = [x * scale, y * scale];
  }
  turn(placed, aspect >= 1);
  for (const box of placed) box.x *= stretch(ids.length, aspect);
  drawOut(placed);
  spread(placed);
  return placed;
}

function placeAll(ids: string[], boxes: Map<string, Box>, edges: [string, string][], aspect: number): void {
  added = 0;
  pack(
    parts(ids, edges).map((part) => placePart(part, boxes, edges, aspect)),
    aspect,
  );
}

/** New nodes find their places; what they do not touch stays where it is. */
function placeNew(ids: string[], boxes: Map<string, Box>, edges: [string, string][], aspect: number): void {
  const before = ids.filter((id) => known.has(id)).flatMap((id) => boxes.get(id) ?? []);
  for (const box of before) Object.assign(box, known.get(box.id));
  for (const part of parts(ids, edges)) {
    const old = part.filter((id) => known.has(id));
    if (old.length === part.length) continue;
    added += part.length - old.length;
    const { left, bottom } = bounds(before);
    if (old.length === 0) {
      const placed = placePart(part, boxes, edges, aspect);
      const own = bounds(placed);
      for (const box of placed) {
        box.x += left - own.left;
        box.y += bottom - own.top - EDGE / 2;
      }
      before.push(...placed);
      continue;
    }
    const near = (id: string): { x: number; y: number } | undefined => {
      const edge = edges.find(([a, b]) => (a === id && known.has(b)) || (b === id && known.has(a)));
      return edge && known.get(edge[0] === id ? edge[1] : edge[0]);
    };
    part.forEach((id, index) => {
      const box = boxes.get(id);
      if (!box || known.has(id)) return;
      const from = near(id) ?? known.get(old[0] ?? '') ?? { x: 0, y: 0 };
      const offset = seed((index % 12) + 2);
      [box.x, box.y] = [from.x + offset.x, from.y + offset.y];
    });
  }
  spread(ids.flatMap((id) => boxes.get(id) ?? []));
}

function grid(ids: string[], boxes: Map<string, Box>, placed: Box[], aspect: number): void {
  const { left, right, bottom } = placed.length > 0 ? bounds(placed) : { left: 0, right: 0, bottom: 0 };
  const stepX = Math.max(0, ...ids.map((id) => boxes.get(id)?.width ?? 0));
  const stepY = Math.max(0, ...ids.map((id) => boxes.get(id)?.height ?? 0));
  const even = Math.ceil(Math.sqrt((ids.length * aspect * stepY) / Math.max(1, stepX)));
  const columns = Math.max(1, even, Math.min(ids.length, Math.floor((right - left) / Math.max(1, stepX))));
  const middle = (left + right) / 2;
  ids.forEach((id, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, ids.length - row * columns);
    const box = boxes.get(id);
    if (!box) return;
    box.x = middle + ((index % columns) - (inRow - 1) / 2) * stepX;
    box.y = bottom - (row + 1) * stepY;
  });
}

self.onmessage = ({ data }: MessageEvent<LayoutRequest>): void => {
  const { nodes, edges, aspect } = data;
  const named = nodes.length <= NAMED_MAX;
  const box = (id: string, index: number): Box =>
    named ? { id, x: 0, y: 0, width: data.widths[index] ?? SPACING, height: HEIGHT } : { id, x: 0, y: 0, width: SPACING * 1.1, height: SPACING };
  const boxes = new Map(nodes.map((id, index) => [id, box(id, index)]));
  const talks = new Set(edges.filter(([a, b]) => a !== b).flat());
  const busy = nodes.filter((id) => talks.has(id));
  const anew = busy.filter((id) => !known.has(id)).length;
  const fresh = data.fresh || anew + added > busy.length / 2;
  if (busy.length > PARTED_MAX) {
    if (data.fresh) known.clear();
    const graph = partOf(busy, edges, (id, index) => known.get(id) ?? seed(index));
    placeLarge(graph, fresh);
    graph.forEachNode((id, { x, y }) => Object.assign(boxes.get(id) ?? {}, { x, y }));
  } else if (fresh) {
    placeAll(busy, boxes, edges, aspect);
  } else {
    placeNew(busy, boxes, edges, aspect);
  }
  known.clear();
  const placed = busy.flatMap((id) => boxes.get(id) ?? []);
  for (const { id, x, y } of placed) known.set(id, { x, y });
  grid(
    nodes.filter((id) => !talks.has(id)),
    boxes,
    placed,
    aspect,
  );
  const positions = Object.fromEntries([...boxes].map(([id, { x, y }]) => [id, { x, y }]));
  self.postMessage({ version: data.version, positions } satisfies LayoutResult);
};
