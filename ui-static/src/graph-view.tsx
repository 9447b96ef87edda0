// The graph: sigma draws (WebGL), a worker places, this keeps both in step with the state.
import { effect } from '@preact/signals';
import Graph from 'graphology';
import { useEffect, useRef } from 'preact/hooks';
import type { Settings } from 'sigma/settings';
import type { NodeDisplayData, PartialButFor } from 'sigma/types';
import { animateNodes } from 'sigma/utils';
import type { Summary } from './api';
import { paint } from './color';
import { type Look, type Tone, edgeLook, pathLook } from './edge-look';
import { ArrowProgram } from './edge-program';
import * as format from './format';
import { type DrawnNode, save, svgOf } from './export';
import type { Drawn } from './groups';
import type { LayoutRequest, LayoutResult } from './layout.worker';
import { SHAPES, ShapeProgram } from './node-program';
import { PictureSigma } from './picture-sigma';
import {
  contrast,
  dark,
  drawn,
  drawnMatches,
  edgeMetric,
  exporter,
  hovered,
  metric,
  openGroup,
  reachTo,
  selected,
  show,
  standIn,
  topology,
} from './state';

const MOVE_MS = 450;

// Of a larger graph only the nodes are drawn while it is moved about: the rest takes longer than a frame.
const LARGE = 1000;

// More edges than this have no room for words.
const EDGE_WORDS_MAX = 300;

// A few nodes are drawn this much further apart than they were placed, no more.
const BLOWN_UP_MAX = 1.6;

// Nodes shrink with a graph that has less room than it was placed for, until they are as small as this.
const SHRUNK_MIN = 0.55;

// Shrunk below this, names that stand on each other are left out rather.
const CROWDED = 0.75;

// The panel with details lies over the graph, in windows that are wide enough for both (style.css).
const PANEL_WIDTH = 450;

// What a node and its name are given room for (pixels): a longer name may reach below the next.
const NAME_MIN = 64;
const NAME_MAX = 190;

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

interface Theme {
  text: string;
  dim: string;
  halo: string;
  edge: string;
  edgeStrong: string;
  edgeFaint: string;
  tones: Record<Tone, string>;
}

const theme = (): Theme => {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: read('--text'),
    dim: read('--dim'),
    halo: read('--bg'),
    edge: read('--edge'),
    edgeStrong: read('--accent'),
    edgeFaint: read('--edge-faint'),
    tones: { plain: read('--edge'), good: read('--accent'), warn: read('--warn'), bad: read('--bad') },
  };
};

function level(node: Summary, id: string): number {
  const found = node.metrics?.find((item) => item.id === id);
  if (!found) return -1;
  return found.max > 0 ? Math.min(1, Math.max(0.02, found.value / found.max)) : 0.02;
}

const radius = (count: number): number => (count > 1500 ? 6 : count > 400 ? 9 : count > 120 ? 13 : 18);

// A group is larger than a node, and more so the more it stands for.
const growth = (node: Drawn): number => (node.members ? 1.2 + 0.35 * Math.log10(node.members.length) : node.stack ? 1.15 : 1);

// The lines of a large graph are thin: thick ones leave no room between them, and filling it takes longer than all else.
const FINE = 80;
const fineness = (count: number): number => Math.max(0.3, Math.min(1, Math.sqrt(FINE / Math.max(1, count))));

/** Edges of the overlay say which way its frames take, others what they carry. */
function lookOf(from: Drawn, to: Drawn): Look {
  const path = topology.peek() === 'weave' ? pathLook(from, to) : undefined;
  return path ?? edgeLook(from.edges?.[to.id], edgeMetric.peek());
}

type Label = PartialButFor<NodeDisplayData, 'x' | 'y' | 'size' | 'label' | 'color'> & {
  minor?: string;
  value?: string;
  fade?: number;
};

function drawLabel(context: CanvasRenderingContext2D, data: Label, settings: Settings, look: Theme): void {
  if (!data.label) return;
  const size = settings.labelSize;
  const line = (text: string, y: number, font: string, color: string): void => {
    context.font = font;
    context.strokeText(text, data.x, y);
    context.fillStyle = color;
    context.fillText(text, data.x, y);
  };
  context.save();
  context.globalAlpha = data.fade ?? 1;
  context.textAlign = 'center';
  context.lineJoin = 'round';
  context.lineWidth = 4;
  context.strokeStyle = look.halo;
  const top = data.y + data.size + size + 3;
  line(data.label, top, `600 ${size}px ${settings.labelFont}`, look.text);
  if (data.minor && data.size > 8) line(data.minor, top + size + 1, `${size - 2}px ${settings.labelFont}`, look.dim);
  if (data.value && data.size > 12) {
    line(data.value, data.y + 4, `600 ${size - 2}px ${settings.labelFont}`, look.text);
  }
  context.restore();
}

type End = { x: number; y: number };

function drawEdgeLabel(context: CanvasRenderingContext2D, text: string, from: End, to: End, settings: Settings, look: Theme): void {
  const x = (from.x + to.x) / 2;
  const y = (from.y + to.y) / 2 - 5; // Above the line: what nodes are called stands below them.
  context.font = `${settings.labelSize - 1}px ${settings.labelFont}`;
  context.textAlign = 'center';
  context.lineJoin = 'round';
  context.lineWidth = 4;
  context.strokeStyle = look.halo;
  context.strokeText(text, x, y);
  context.fillStyle = look.dim;
  context.fillText(text, x, y);
}

/** Everything of the graph that is not what the nodes say: made once, fed by effects. */
class Picture {
  readonly graph = new Graph({ type: 'directed' });
  readonly sigma: PictureSigma;
  readonly worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
  private version = 0;
  private structure = '';
  private look = theme();
  private cancel: (() => void) | undefined;
  private near = new Set<string>();
  private placed = false;
  private aside: { from: End; to: End } | null = null; // Where the camera was, and went for the panel.
  private shrunk = 1; // Nodes, where the graph is shrunk to fit.

  constructor(container: HTMLElement) {
    this.sigma = new PictureSigma(this.graph, container, {
      allowInvalidContainer: true,
      defaultEdgeType: 'arrow',
      defaultNodeType: 'shape',
      edgeProgramClasses: { arrow: ArrowProgram },
      nodeProgramClasses: { shape: ShapeProgram },
      labelFont: 'Inter, system-ui, sans-serif',
      labelSize: 12,
      labelDensity: 2,
      labelGridCellSize: 90,
      labelRenderedSizeThreshold: 5,
      minCameraRatio: 0.05,
      maxCameraRatio: 4,
      stagePadding: 80,
      zIndex: true,
      defaultDrawNodeLabel: (context, data, settings) => drawLabel(context, data as Label, settings, this.look),
      defaultDrawEdgeLabel: (context, edge, from, to, settings) => {
        if (edge.label) drawEdgeLabel(context, edge.label, from, to, settings, this.look);
      },
      defaultDrawNodeHover: (context, data, settings) => drawLabel(context, data as Label, settings, this.look),
      nodeReducer: (id, data) => this.reduceNode(id, data),
      edgeReducer: (id, data) => this.reduceEdge(id, data),
    });
    this.worker.onmessage = ({ data }: MessageEvent<LayoutResult>) => this.place(data);
    this.sigma.on('clickNode', ({ node, event }) => {
      const from = selected.peek();
      const isReach = event.original.shiftKey && from && from !== node;
      const isGroup = drawn.peek().get(node)?.members !== undefined;
      if (isGroup) {
        hovered.value = null; // It is gone from under the pointer.
        container.style.cursor = '';
        openGroup(node);
      }
      else if (isReach) reachTo.value = { id: node, label: this.graph.getNodeAttribute(node, 'label') as string };
      else show({ node: from === node ? null : node });
    });
    this.sigma.on('clickStage', () => selected.value && show({ node: null }));
    this.sigma.on('enterNode', ({ node }) => {
      hovered.value = node;
      container.style.cursor = 'pointer';
    });
    this.sigma.on('leaveNode', () => {
      hovered.value = null;
      container.style.cursor = '';
    });
  }

  kill(): void {
    this.cancel?.();
    this.worker.terminate();
    this.sigma.kill();
  }

  repaint(): void {
    this.look = theme();
    for (const [id, node] of drawn.peek()) {
      if (this.graph.hasNode(id)) this.graph.mergeNodeAttributes(id, this.attributes(node));
    }
    // The hint has Sigma take all edges in anew: it cannot repaint those that it has not drawn yet.
    this.graph.updateEachEdgeAttributes((_, before, from, to) => ({ ...before, ...this.edgeAttributes(from, to) }), {
      attributes: ['zIndex'],
    });
    this.sigma.refresh();
  }

  focus(): void {
    const center = standIn(hovered.peek() ?? selected.peek());
    this.near = new Set(center && this.graph.hasNode(center) ? [center, ...this.graph.neighbors(center)] : []);
    this.sigma.refresh({ skipIndexation: true, schedule: true });
  }

  /** What was chosen does not stay under the panel with its details; once that is gone, the graph is back where it was. */
  reveal(): void {
    const camera = this.sigma.getCamera();
    const duration = reducedMotion.matches ? 0 : 300;
    const id = standIn(selected.peek());
    if (!id) {
      const { aside } = this;
      this.aside = null;
      const distance = aside ? Math.hypot(camera.x - aside.to.x, camera.y - aside.to.y) : Infinity;
      if (aside && distance < 1e-3) void camera.animate(aside.from, { duration }); // Else somebody has moved it since.
      return;
    }
    if (camera.isAnimated()) return;
    if (!this.graph.hasNode(id) || this.graph.getNodeAttribute(id, 'hidden')) return;
    const { x, y } = this.graph.getNodeAttributes(id);
    const free = this.sigma.getDimensions().width - PANEL_WIDTH;
    const at = this.sigma.graphToViewport({ x: Number(x), y: Number(y) }).x;
    if (free < PANEL_WIDTH || (at > 0 && at < free)) return;
    const beyond = at - free * (at > 0 ? 0.8 : 0.2);
    const origin = this.sigma.viewportToFramedGraph({ x: 0, y: 0 });
    const moved = this.sigma.viewportToFramedGraph({ x: beyond, y: 0 });
    const to = { x: camera.x + moved.x - origin.x, y: camera.y + moved.y - origin.y };
    this.aside = { from: this.aside?.from ?? { x: camera.x, y: camera.y }, to };
    void camera.animate(to, { duration });
  }

  zoom(factor: number): void {
    const camera = this.sigma.getCamera();
    const state = { ratio: factor === 0 ? 1 : camera.ratio * factor, ...(factor === 0 ? { x: 0.5, y: 0.5 } : {}) };
    void camera.animate(state, { duration: reducedMotion.matches ? 0 : 200 });
  }

  update(view: ReadonlyMap<string, Drawn>): void {
    const gone = this.graph.filterNodes((id) => !view.has(id));
    if (gone.length > 0) this.cancel?.(); // It would move them on; where the others go the layout says anew.
    for (const id of gone) this.graph.dropNode(id);
    for (const [id, node] of view) {
      if (this.graph.hasNode(id)) this.graph.mergeNodeAttributes(id, this.attributes(node));
      else this.graph.addNode(id, { x: 0, y: 0, hidden: true, ...this.attributes(node) });
    }
    const wanted = new Set<string>();
    for (const [id, node] of view) {
      for (const to of node.adjacency ?? []) {
        if (!view.has(to) || to === id) continue;
        const key = `${id}\n${to}`;
        wanted.add(key);
        if (this.graph.hasEdge(key)) this.graph.mergeEdgeAttributes(key, this.edgeAttributes(id, to));
        else this.graph.addEdgeWithKey(key, id, to, this.edgeAttributes(id, to));
      }
    }
    this.sigma.adapt(view.size > LARGE, view.size > FINE);
    for (const key of this.graph.edges()) if (!wanted.has(key)) this.graph.dropEdge(key);
    this.sigma.setSetting('renderEdgeLabels', wanted.size <= EDGE_WORDS_MAX);
    const structure = [...view.keys(), ...wanted].sort().join('\t');
    if (structure !== this.structure) {
      this.structure = structure;
      this.layout(false);
    }
  }

  /** The graph as it stands on the screen, and beyond it. */
  svg(): string {
    const at = new Map<string, DrawnNode>();
    for (const id of this.graph.nodes()) {
      const data = this.graph.getNodeAttributes(id);
      if (data['hidden']) continue;
      at.set(id, {
        ...this.sigma.graphToViewport({ x: Number(data['x']), y: Number(data['y']) }),
        radius: this.sigma.scaleSize(Number(data['size'])),
        label: String(data['label']),
        minor: String(data['minor']),
        fill: String(data['color']),
        stroke: String(data['ring']),
      });
    }
    const edges = this.graph.mapEdges((_, { size, label, tone }, from, to) => {
      const ends = { from: at.get(from), to: at.get(to) };
      return { ...ends, width: Number(size), color: this.look.tones[tone as Tone], label: String(label) };
    });
    return svgOf({
      nodes: [...at.values()],
      edges: edges.flatMap(({ from, to, ...rest }) => (from && to ? [{ from, to, ...rest }] : [])),
      background: this.look.halo,
      text: this.look.text,
      dim: this.look.dim,
    });
  }

  layout(fresh: boolean): void {
    this.version += 1;
    const { width, height } = this.sigma.getDimensions();
    const nodes = this.graph.nodes().sort();
    const padding = 2 * this.fitPadding();
    const request: LayoutRequest = {
      version: this.version,
      fresh: fresh || !this.placed,
      nodes,
      widths: nodes.map((id) => this.widthOf(id)),
      aspect: Math.max(100, width - padding) / Math.max(100, height - padding),
      edges: this.graph.edges().map((key) => [this.graph.source(key), this.graph.target(key)]),
    };
    this.sigma.getContainer().setAttribute('aria-busy', 'true');
    this.worker.postMessage(request);
  }

  // Half a name beside the outermost node; a phone has less room to give away.
  private fitPadding(): number {
    const { width, height } = this.sigma.getDimensions();
    return Math.min(width, height) < 600 ? 44 : 80;
  }

  // A node with its name below it, as wide as most letters make it.
  private widthOf(id: string): number {
    const { label, minor } = this.graph.getNodeAttributes(id) as { label: string; minor?: string };
    const text = Math.max(label.length * 7.4, (minor ?? '').length * 5.8) + 16;
    return Math.min(NAME_MAX, Math.max(NAME_MIN, text));
  }

  private place({ version, positions }: LayoutResult): void {
    if (version !== this.version) return;
    this.sigma.getContainer().setAttribute('aria-busy', 'false');
    this.cancel?.();
    this.bound(positions);
    const moves: Record<string, { x: number; y: number }> = {};
    for (const [id, at] of Object.entries(positions)) {
      if (!this.graph.hasNode(id)) continue;
      if (this.graph.getNodeAttribute(id, 'hidden') || !this.placed || reducedMotion.matches || this.graph.order > LARGE) {
        this.graph.mergeNodeAttributes(id, { ...at, hidden: false });
      } else {
        moves[id] = at;
      }
    }
    const isFirst = !this.placed;
    this.placed = this.placed || this.graph.order > 0;
    if (isFirst) requestAnimationFrame(() => this.reveal());
    if (Object.keys(moves).length > 0) {
      this.cancel = animateNodes(this.graph, moves, { duration: MOVE_MS, easing: 'quadraticInOut' });
    }
  }

  // A few nodes are not blown up to fill the screen, and a change does not make the picture jump more
  // than it must.
  private bound(positions: LayoutResult['positions']): void {
    const all = Object.values(positions);
    if (all.length === 0) return;
    const { width, height } = this.sigma.getDimensions();
    const padding = this.fitPadding();
    if (this.sigma.getSetting('stagePadding') !== padding) this.sigma.setSetting('stagePadding', padding);
    const axis = (values: number[], size: number): [number, number] => {
      const low = Math.min(...values);
      const high = Math.max(...values);
      const grow = Math.max(0, Math.max(1, size - 2 * padding) / BLOWN_UP_MAX - (high - low)) / 2;
      return [low - grow, high + grow];
    };
    const x = axis(all.map((at) => at.x), width);
    const y = axis(all.map((at) => at.y), height);
    this.sigma.setCustomBBox({ x, y });
    const room = Math.min((width - 2 * padding) / (x[1] - x[0]), (height - 2 * padding) / (y[1] - y[0]));
    this.shrunk = Math.min(1, Math.max(SHRUNK_MIN, room));
    const density = room < CROWDED ? 1 : 2;
    if (this.sigma.getSetting('labelDensity') !== density) this.sigma.setSetting('labelDensity', density);
  }

  private edgeAttributes(from: string, to: string): { size: number; label: string; tone: Tone } {
    const source = drawn.peek().get(from);
    const target = drawn.peek().get(to);
    if (!source || !target) return { size: 1, label: '', tone: 'plain' };
    const { thickness, label, tone } = lookOf(source, target);
    return { size: thickness * fineness(drawn.peek().size), label, tone };
  }

  private attributes(node: Drawn): Record<string, unknown> {
    const { ring, body } = paint(node.rank, Boolean(node.pseudo), dark.peek());
    const shown = node.metrics?.find((item) => item.id === metric.peek());
    return {
      label: node.label,
      minor: node.labelMinor,
      value: shown ? format.metric(shown) : '',
      color: body,
      ring,
      size: radius(drawn.peek().size) * growth(node),
      shapeIndex: Math.max(0, SHAPES.indexOf(node.shape === 'heptagon' ? 'hexagon' : node.shape)), // As good as alike.
      level: level(node, metric.peek()),
      stale: node.stale ?? 0,
    };
  }

  private reduceNode(id: string, data: Record<string, unknown>): Record<string, unknown> {
    const found = drawnMatches.peek();
    const isFound = !found || found.has(id);
    const isNear = this.near.size === 0 || this.near.has(id);
    const isStrong = isFound && isNear;
    const fade = (isStrong ? 1 : 0.16) * (Number(data['stale']) > 0 ? 0.55 : 1);
    const isCenter = standIn(selected.peek()) === id;
    return {
      ...data,
      fade,
      forceLabel: isStrong && (this.near.size > 0 || found !== null),
      label: isStrong ? data['label'] : '',
      size: Number(data['size']) * this.shrunk * (isCenter ? 1.25 : 1),
      zIndex: isCenter ? 2 : isStrong ? 1 : 0,
    };
  }

  private reduceEdge(id: string, data: Record<string, unknown>): Record<string, unknown> {
    const [from, to] = this.graph.extremities(id);
    const tone = data['tone'] as Tone;
    const center = standIn(hovered.peek() ?? selected.peek());
    const touches = center !== null && (from === center || to === center);
    const found = drawnMatches.peek();
    const isFaint =
      (this.near.size > 0 && !touches) || (found !== null && !(found.has(from ?? '') && found.has(to ?? '')));
    return {
      ...data,
      hidden: isFaint && this.graph.order > LARGE,
      label: isFaint ? '' : data['label'],
      color: isFaint ? this.look.edgeFaint : tone !== 'plain' ? this.look.tones[tone] : touches ? this.look.edgeStrong : this.look.edge,
      zIndex: touches ? 1 : 0,
    };
  }
}

export function GraphView() {
  const box = useRef<HTMLDivElement>(null);
  const picture = useRef<Picture | null>(null);

  useEffect(() => {
    if (!box.current) return undefined;
    const made = new Picture(box.current);
    picture.current = made;
    const stops = [
      effect(() => made.update(drawn.value)),
      effect(() => {
        void [dark.value, contrast.value, metric.value, edgeMetric.value];
        // The theme's colours are there once the document has been restyled.
        requestAnimationFrame(() => picture.current === made && made.repaint());
      }),
      effect(() => {
        void [hovered.value, selected.value, drawnMatches.value, drawn.value];
        made.focus();
      }),
    ];
    stops.push(
      effect(() => {
        void selected.value;
        made.reveal();
      }),
    );
    exporter.value = {
      label: 'Save as SVG',
      run: () => save(`weft-${topology.peek()}.svg`, 'image/svg+xml', made.svg()),
    };
    return () => {
      exporter.value = null;
      picture.current = null;
      for (const stop of stops) stop();
      made.kill();
    };
  }, []);

  return (
    <div class="graph">
      <div class="canvas" ref={box} role="img" aria-label="Graph of the nodes; the table view lists the same" />
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" aria-label="Zoom in" onClick={() => picture.current?.zoom(0.7)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => picture.current?.zoom(1.4)}>
          −
        </button>
        <button type="button" aria-label="Fit to screen" title="Fit to screen" onClick={() => picture.current?.zoom(0)}>
          ⤢
        </button>
        <button type="button" aria-label="Lay out anew" title="Lay out anew" onClick={() => picture.current?.layout(true)}>
          ↻
        </button>
      </div>
    </div>
  );
}
