// Places nodes, off the main thread. What was placed stays near where it was: a changed graph starts
// from the old positions and settles briefly. Nodes that talk to nobody stand in a grid below.
import Graph from 'graphology';
import forceAtlas2 from 'graphology-layout-forceatlas2';
import noverlap from 'graphology-layout-noverlap';

export interface LayoutRequest {
  version: number;
  fresh: boolean;
  nodes: string[];
  edges: [string, string][];
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

// Placing more takes seconds: fewer steps, in which most of what they reach is reached.
const LARGE = 1500;
const known = new Map<string, { x: number; y: number }>();

// Sunflower: even, and the same every time.
function seed(index: number): { x: number; y: number } {
  const angle = index * 2.399963;
  const radius = SPACING * Math.sqrt(index + 0.5);
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
}

function settle(graph: Placed, fresh: boolean): void {
  if (graph.order === 0) return;
  const iterations = fresh ? (graph.order > LARGE ? 120 : 400) : 40;
  forceAtlas2.assign(graph, {
    iterations,
    settings: {
      gravity: 0.9,
      scalingRatio: 90,
      slowDown: 4,
      barnesHutOptimize: graph.order > 400,
      adjustSizes: graph.order <= 400,
      linLogMode: false,
    },
  });
  noverlap.assign(graph, {
    maxIterations: graph.order > LARGE ? 20 : 120,
    settings: { margin: SPACING * 0.55, ratio: 1.1, expansion: 1.06 },
  });
}

function grid(ids: string[], graph: Placed, positions: LayoutResult['positions']): void {
  let left = 0;
  let right = 0;
  let bottom = 0;
  graph.forEachNode((_, { x, y }) => {
    left = Math.min(left, x);
    right = Math.max(right, x);
    bottom = Math.min(bottom, y);
  });
  const step = SPACING * 2.1;
  const columns = Math.max(Math.ceil(Math.sqrt(ids.length * 2)), Math.min(ids.length, Math.floor((right - left) / step)));
  const middle = (left + right) / 2;
  ids.forEach((id, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, ids.length - row * columns);
    positions[id] = {
      x: middle + ((index % columns) - (inRow - 1) / 2) * step,
      y: graph.order > 0 ? bottom - (row + 1.4) * step : -row * step,
    };
  });
}

self.onmessage = ({ data }: MessageEvent<LayoutRequest>): void => {
  if (data.fresh) known.clear();
  const degree = new Map<string, number>();
  for (const [a, b] of data.edges) {
    degree.set(a, (degree.get(a) ?? 0) + 1);
    degree.set(b, (degree.get(b) ?? 0) + 1);
  }
  const graph: Placed = new Graph<At>({ type: 'undirected', multi: false });
  const loose: string[] = [];
  let anew = 0;
  data.nodes.forEach((id, index) => {
    if (!degree.has(id)) {
      loose.push(id);
      return;
    }
    let at = known.get(id);
    if (!at) {
      anew += 1;
      const neighbour = data.edges.find(([a, b]) => (a === id && known.has(b)) || (b === id && known.has(a)));
      const near = neighbour && known.get(neighbour[0] === id ? neighbour[1] : neighbour[0]);
      const offset = seed(index % 12);
      at = near ? { x: near.x + offset.x, y: near.y + offset.y } : seed(index);
    }
    graph.addNode(id, { ...at, size: SPACING * 0.5 });
  });
  for (const [a, b] of data.edges) {
    if (a !== b && !graph.hasEdge(a, b)) graph.addEdge(a, b);
  }
  settle(graph, data.fresh || anew > graph.order / 2);
  const positions: LayoutResult['positions'] = {};
  graph.forEachNode((id, { x, y }) => {
    positions[id] = { x, y };
  });
  known.clear();
  for (const [id, at] of Object.entries(positions)) known.set(id, at);
  grid(loose, graph, positions);
  self.postMessage({ version: data.version, positions } satisfies LayoutResult);
};
