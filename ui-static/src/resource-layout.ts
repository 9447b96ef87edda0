// Where the boxes of the resource view stand: hosts below, as wide as what they have; on each its containers, as wide as
// what they use, and on each of these its processes. Pure.
import type { Metric, Summary } from './api';

export type Kind = 'cpu' | 'memory';

/** What a host is as wide as: all that it has, or what is used of it, which shows more where little is. */
export type Extent = 'all' | 'used';

export interface Layers {
  hosts: Iterable<Summary>;
  containers: Iterable<Summary>;
  processes: Iterable<Summary>;
}

/** A host, a container or a process, with what stands on it. */
export interface Item {
  id: string;
  topology: 'hosts' | 'containers' | 'processes';
  node: Summary;
  /** Of hosts what there is, else what is used: bytes, or percent of one CPU. */
  size: number;
  used: number;
  children: Item[];
}

/** Where an item is drawn, in pixels from the left of the first host. */
export interface Box {
  key: string;
  /** Absent where a box stands for several that are too narrow to be drawn. */
  item?: Item;
  count: number;
  used: number;
  host: Item;
  level: number;
  x: number;
  width: number;
  /** Indices among the boxes: what it stands on, and the first that stands on it. */
  parent?: number;
  child?: number;
}

const WHOLE_CPU = 100;

/** In pixels: what a pointer still hits. What is narrower is drawn together with its like, if that is wide enough to be seen. */
export const NARROWEST = 5;
const SEEN = 2;

// Between hosts: pixels, and at most this share of all room where hosts are many.
const GAP = 8;
const GAPS_MAX = 0.1;
const UNCONTAINED = 'pseudo:uncontained:';

export const kindOf = (metric: string): Kind => (/cpu/i.test(metric) ? 'cpu' : 'memory');

export const metricOf = (node: Summary, kind: Kind): Metric | undefined =>
  node.metrics?.find((item) => item.format === (kind === 'cpu' ? 'percent' : 'filesize'));

const parentOf = (node: Summary, topology: string): string | undefined =>
  node.parents?.find((parent) => parent.topologyId === topology)?.id;

/** A host's CPU is told as the share of all of its CPUs; their number is what its load is compared with. */
export const cpusOf = (host: Summary): number => host.metrics?.find((item) => item.id === 'load1')?.max ?? 1;

function hostItem(node: Summary, kind: Kind): Item {
  const metric = metricOf(node, kind);
  const size = kind === 'cpu' ? cpusOf(node) * WHOLE_CPU : (metric?.max ?? 0);
  const used = kind === 'cpu' ? ((metric?.value ?? 0) / WHOLE_CPU) * size : (metric?.value ?? 0);
  return { id: node.id, topology: 'hosts', node, size, used, children: [] };
}

function itemOf(node: Summary, topology: Item['topology'], kind: Kind): Item {
  const used = metricOf(node, kind)?.value ?? 0;
  return { id: node.id, topology, node, size: used, used, children: [] };
}

/** What runs on a host in no container. */
function uncontained(host: Item): Item {
  const id = UNCONTAINED + host.id.replace(/;<host>$/, '');
  const node: Summary = { id, label: 'Uncontained', labelMinor: host.node.label, rank: id, shape: 'square', pseudo: true };
  return { id, topology: 'containers', node, size: 0, used: 0, children: [] };
}

/**
 * Who stands on whom. What is known of a process or container without its host is left out. `order` remembers who came
 * first, the largest of those that came together; it keeps boxes from changing places with every sample.
 */
export function build(layers: Layers, kind: Kind, order: Map<string, number>): Item[] {
  const hosts = new Map<string, Item>();
  for (const node of layers.hosts) hosts.set(node.id, hostItem(node, kind));
  const containers = new Map<string, Item>();
  for (const node of layers.containers) {
    const host = hosts.get(parentOf(node, 'hosts') ?? '');
    if (!host || node.pseudo) continue;
    const item = itemOf(node, 'containers', kind);
    containers.set(node.id, item);
    host.children.push(item);
  }
  const rests = new Map<string, Item>();
  for (const node of layers.processes) {
    const host = hosts.get(parentOf(node, 'hosts') ?? '');
    if (!host) continue;
    let below = containers.get(parentOf(node, 'containers') ?? '') ?? rests.get(host.id);
    if (!below) {
      below = uncontained(host);
      rests.set(host.id, below);
      host.children.push(below);
    }
    const item = itemOf(node, 'processes', kind);
    below.children.push(item);
    if (below.node.pseudo) {
      below.size += item.size;
      below.used += item.used;
    }
  }
  const list = [...hosts.values()];
  remember(list, order);
  return list;
}

function remember(hosts: Item[], order: Map<string, number>): void {
  const all = hosts.flatMap((host) => host.children.flatMap((item) => [item, ...item.children]));
  const here = new Set(all.map((item) => item.id));
  for (const id of order.keys()) if (!here.has(id)) order.delete(id);
  let next = Math.max(-1, ...order.values());
  for (const item of all.filter((one) => !order.has(one.id)).sort((a, b) => b.size - a.size || (a.id < b.id ? -1 : 1))) {
    next += 1;
    order.set(item.id, next);
  }
  const sort = (items: Item[]): void => void items.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
  hosts.sort((a, b) => (a.node.label < b.node.label ? -1 : a.node.label > b.node.label ? 1 : a.id < b.id ? -1 : 1));
  for (const host of hosts) {
    sort(host.children);
    for (const item of host.children) sort(item.children);
  }
}

const sumOf = (items: Item[]): number => items.reduce((sum, item) => sum + item.size, 0);

/**
 * Boxes of all hosts, which fill a window of `width` pixels and, closer, `zoom` times as much. They come in the order in
 * which they are read, each before what stands on it.
 */
export function place(hosts: Item[], width: number, zoom: number, extent: Extent): Box[] {
  const boxes: Box[] = [];
  const sizeOf = (host: Item): number => (extent === 'all' ? host.size : sumOf(host.children));
  const total = hosts.reduce((sum, host) => sum + sizeOf(host), 0);
  const gap = Math.min(GAP, (width * GAPS_MAX) / Math.max(1, hosts.length)) * zoom;
  const room = width * zoom - gap * Math.max(0, hosts.length - 1);
  if (total <= 0 || room <= 0) return boxes;
  let x = 0;
  for (const host of hosts) {
    const own = (sizeOf(host) / total) * room;
    const index = boxes.length;
    boxes.push({ key: host.id, item: host, count: 1, used: host.used, host, level: 0, x, width: own });
    stack(boxes, index, host, sizeOf(host), own);
    x += own + gap;
  }
  return boxes;
}

/** Puts what `below` carries on it: to scale where it fits, else narrower. What is too narrow to be drawn is one box. */
function stack(boxes: Box[], at: number, below: Item, size: number, width: number): void {
  const base = boxes[at];
  if (!base || size <= 0) return;
  const scale = width / Math.max(size, sumOf(below.children));
  const wide = below.children.filter((item) => item.size * scale >= NARROWEST);
  const narrow = below.children.filter((item) => item.size > 0 && item.size * scale < NARROWEST);
  const level = base.level + 1;
  let x = base.x;
  const add = (box: Pick<Box, 'key' | 'item' | 'count' | 'used' | 'width'>): number => {
    base.child ??= boxes.length;
    boxes.push({ ...box, host: base.host, level, x, parent: at });
    x += box.width;
    return boxes.length - 1;
  };
  for (const item of wide) {
    const own = item.size * scale;
    stack(boxes, add({ key: item.id, item, count: 1, used: item.used, width: own }), item, item.size, own);
  }
  const rest = narrow.reduce((all, item) => all + item.used, 0);
  if (rest * scale >= SEEN) {
    add({ key: `${below.id}\nrest`, count: narrow.length, used: rest, width: rest * scale });
  }
}

export interface Camera {
  /** How much wider than the window everything is. */
  zoom: number;
  /** How much of it is left of the window, in pixels. */
  left: number;
}

export const ZOOM_MAX = 1000;

/** The camera within what there is to see. */
export function bounded(camera: Camera, width: number): Camera {
  const zoom = Math.min(ZOOM_MAX, Math.max(1, camera.zoom));
  return { zoom, left: Math.min(Math.max(0, camera.left), width * (zoom - 1)) };
}

/** Closer by `factor`; what is `at` pixels from the left of the window stays there. */
export function zoomed(camera: Camera, factor: number, at: number, width: number): Camera {
  const zoom = Math.min(ZOOM_MAX, Math.max(1, camera.zoom * factor));
  return bounded({ zoom, left: (camera.left + at) * (zoom / camera.zoom) - at }, width);
}

/** So that the box, which was placed for this camera, fills most of the window. */
export function closeTo(box: Box, camera: Camera, width: number): Camera {
  const factor = (width * 0.8) / Math.max(1, box.width);
  const near = zoomed(camera, factor, 0, width);
  const x = (box.x / camera.zoom) * near.zoom;
  return bounded({ zoom: near.zoom, left: x - (width - (box.width / camera.zoom) * near.zoom) / 2 }, width);
}

/** Moved no further than needed for the box to be in the window, with its left side if it is the wider one. */
export function showing(box: Box, camera: Camera, width: number): Camera {
  const right = box.x + box.width - width;
  if (box.x >= camera.left && right <= camera.left) return camera;
  return bounded({ ...camera, left: box.x < camera.left ? box.x : Math.min(box.x, right) }, width);
}

export type Way = 'up' | 'down' | 'left' | 'right' | 'first' | 'last';

/** The box that an arrow leads to from another. */
export function neighbour(boxes: Box[], from: number, way: Way): number {
  const box = boxes[from];
  if (!box) return 0;
  if (way === 'up') return box.child ?? from;
  if (way === 'down') return box.parent ?? from;
  const layer = boxes.flatMap((other, index) => (other.level === box.level ? [index] : []));
  const at = layer.indexOf(from);
  const to = { left: at - 1, right: at + 1, first: 0, last: layer.length - 1 }[way];
  return layer[to] ?? from;
}
