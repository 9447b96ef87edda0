// What is looked at and what is known: signals that the views read, and the connection that feeds
// them. The address bar holds what is looked at, so that links and the back button work.
import { batch, computed, effect, signal } from '@preact/signals';
import {
  type About,
  type ControlResult,
  type Delta,
  type Details,
  type Loading,
  type Metric,
  type Summary,
  type Topology,
  type Visitor,
  getAbout,
  getDetails,
  getTopologies,
  getVisitor,
  topologyId,
} from './api';
import { EDGE_METRICS, type EdgeMetric } from './edge-look';
import { grouped, groupingOf, standIns } from './groups';
import type { Extent } from './resource-layout';
import { narrowed, search } from './search';
import { type Connection, type Nodes, applied, follow, isNews } from './stream';

export type Mode = 'graph' | 'table' | 'resources';

/** What the resource view is made of, and of which views it is shown. */
export const LAYERS = { hosts: 'view=ui', containers: 'pseudo=hide&stopped=running&system=all', processes: 'unconnected=show' };
export type Layer = keyof typeof LAYERS;
const hasResources = (id: string): id is Layer => Object.hasOwn(LAYERS, id);

// What is looked at.
export const topology = signal('containers');
export const mode = signal<Mode>('graph');
export const selected = signal<string | null>(null);
// What the selected node is asked to reach: a node, or a name somebody wrote.
export const reachTo = signal<{ id: string; label: string } | null>(null);
export const query = signal('');
export const pins = signal<string[]>([]); // Searches that stay: what does not match all of them is not shown.
export const options = signal<Record<string, string>>({});
export const metric = signal('');
export const extent = signal<Extent>('all'); // Of hosts in the resource view.
export const edgeMetric = signal<EdgeMetric>('');
export const grouping = signal<string | null>(null); // As chosen: '' for none, null for what suits the view's size.
export const openGroups = signal<ReadonlySet<string>>(new Set());
export const sortBy = signal(''); // The table's column; nothing for its first of numbers.
export const upwards = signal(false);
export const hovered = signal<string | null>(null);
export const helpOpen = signal(false);

const DARK = '(prefers-color-scheme: dark)';
const storedTheme = localStorage.getItem('weft-theme');
export const dark = signal(storedTheme ? storedTheme === 'dark' : matchMedia(DARK).matches);

const CONTRAST = matchMedia('(prefers-contrast: more)');
const storedContrast = localStorage.getItem('weft-contrast');
export const contrast = signal(storedContrast ? storedContrast === 'more' : CONTRAST.matches);

/** Makes a file of what is shown; set by the view that can. */
export const exporter = signal<{ label: string; run: () => void } | null>(null);

// What is known.
export const topologies = signal<Topology[]>([]);
export const about = signal<About | null>(null);
export const nodes = signal<Nodes>(new Map());
export const layers = signal<Partial<Record<Layer, Nodes>>>({});
export const connection = signal<Connection>('connecting');
export const received = signal(false); // The first frame of this topology is here.
export const loading = signal<Loading | null>(null); // What is known is a part.
export const details = signal<Details | null>(null);
export const missing = signal(false); // The selected node is gone.
export const paused = signal<Date | null>(null); // Since when what is shown stays as it was.
export const visitor = signal<Visitor | null>(null);

export interface ControlOf {
  probeId: string;
  nodeId: string;
  id: string;
}

/** A pipe to a terminal or to a log, and what it is of. */
export interface Session {
  pipe: string;
  title: string;
  rawTty: boolean;
  resize?: ControlOf;
  /** What began it. */
  control: ControlOf;
}
export const session = signal<Session | null>(null);

/** Shows what a control opened, if it did. */
export function beginSession(result: ControlResult, { probeId, nodeId, id }: ControlOf, title: string): void {
  if (!result.pipe) return;
  session.value = {
    pipe: result.pipe,
    title,
    rawTty: result.raw_tty ?? false,
    resize: result.resize_tty_control ? { probeId, nodeId, id: result.resize_tty_control } : undefined,
    control: { probeId, nodeId, id },
  };
}

export const isResourceful = computed(() => hasResources(topology.value));
const areLayersShown = computed(() => mode.value === 'resources' && isResourceful.value);

/** What graph and table are of. */
export const pinned = computed(() => narrowed(nodes.value, pins.value));

/** What stands out. The resource view shows what hosts have as it is, so there also what is pinned only stands out. */
export const matches = computed(() => {
  if (mode.value !== 'resources') return search([query.value], pinned.value.values());
  const shown = Object.values(layers.value).flatMap((layer) => [...layer.values()]);
  return search([...pins.value, query.value], shown);
});

const all = (list: Topology[]): Topology[] => list.flatMap((item) => [item, ...all(item.sub_topologies ?? [])]);
export const current = computed(() => all(topologies.value).find((item) => topologyId(item) === topology.value));

export const metrics = computed(() => {
  const found = new Map<string, Metric>();
  for (const node of nodes.value.values()) {
    for (const item of node.metrics ?? []) if (!found.has(item.id)) found.set(item.id, item);
  }
  return [...found.values()];
});

/** What the graph shows: nodes, and groups of them. */
export const groupedBy = computed(() => groupingOf(pinned.value, grouping.value));
export const drawn = computed(() => grouped(pinned.value, groupedBy.value, openGroups.value));
const groupOf = computed(() => standIns(drawn.value));

/** What stands for a node in the graph. */
export const standIn = (id: string | null): string | null => (id === null ? null : (groupOf.value.get(id) ?? id));
export const drawnMatches = computed(
  () => matches.value && new Set([...matches.value].map((id) => groupOf.value.get(id) ?? id)),
);

/** The metric of the view that a metric of another view stands for: of processes memory is called otherwise than of hosts. */
export const metricLike = (id: string): string => {
  const format = /cpu/.test(id) ? 'percent' : /mem/.test(id) ? 'filesize' : '';
  return metrics.value.find((item) => item.id === id)?.id ?? metrics.value.find((item) => format && item.format === format)?.id ?? id;
};

export const optionValue = (group: { id: string; defaultValue: string }): string =>
  options.value[group.id] ?? group.defaultValue;

// Any parameter makes Scope's API fill in the defaults of the groups that are not named.
export const optionQuery = (): string => new URLSearchParams({ view: 'ui', ...options.value }).toString();

// The address bar ------------------------------------------------------------------------------

const MODES: readonly Mode[] = ['graph', 'table', 'resources'];
let applying = false;

function readHash(): void {
  const [path = '', text = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const wanted = new URLSearchParams(text);
  const chosen: Record<string, string> = {};
  wanted.forEach((value, key) => {
    if (key.startsWith('o.')) chosen[key.slice(2)] = value;
  });
  applying = true;
  batch(() => {
    if (path) topology.value = decodeURIComponent(path);
    mode.value = MODES.find((known) => known === wanted.get('mode')) ?? 'graph';
    selected.value = wanted.get('node');
    query.value = wanted.get('q') ?? '';
    const pin = wanted.getAll('pin');
    if (pin.join('\n') !== pins.value.join('\n')) pins.value = pin;
    metric.value = wanted.get('metric') ?? '';
    edgeMetric.value = EDGE_METRICS.find(([known]) => known === wanted.get('edges'))?.[0] ?? '';
    const by = wanted.get('group');
    grouping.value = by === 'none' ? '' : by;
    const open = wanted.getAll('open');
    if (open.join('\n') !== [...openGroups.value].join('\n')) openGroups.value = new Set(open);
    const sort = wanted.get('sort') ?? '';
    upwards.value = sort !== '' && !sort.startsWith('-');
    sortBy.value = sort.replace(/^-/, '');
    extent.value = wanted.get('of') === 'used' ? 'used' : 'all';
    if (JSON.stringify(chosen) !== JSON.stringify(options.value)) options.value = chosen;
  });
  applying = false;
}

function writeHash(): void {
  const wanted = new URLSearchParams();
  if (mode.value !== 'graph') wanted.set('mode', mode.value);
  if (selected.value) wanted.set('node', selected.value);
  if (query.value) wanted.set('q', query.value);
  for (const pin of pins.value) wanted.append('pin', pin);
  if (metric.value) wanted.set('metric', metric.value);
  if (edgeMetric.value) wanted.set('edges', edgeMetric.value);
  if (grouping.value !== null) wanted.set('group', grouping.value || 'none');
  for (const id of openGroups.value) wanted.append('open', id);
  if (sortBy.value) wanted.set('sort', `${upwards.value ? '' : '-'}${sortBy.value}`);
  if (extent.value !== 'all') wanted.set('of', extent.value);
  for (const [key, value] of Object.entries(options.value)) wanted.set(`o.${key}`, value);
  const text = wanted.toString();
  const hash = `#/${encodeURIComponent(topology.value)}${text ? `?${text}` : ''}`;
  if (applying || hash === location.hash) return;
  // Typing a search is one step back, not one per letter.
  history.replaceState(null, '', hash);
}

export function show(where: { topology?: string; node?: string | null; mode?: Mode }): void {
  history.pushState(null, '', location.hash || '#/');
  batch(() => {
    if (where.topology && where.topology !== topology.value) topology.value = where.topology;
    if (where.node !== undefined) selected.value = where.node;
    if (where.mode) mode.value = where.mode;
  });
}

/** Groups nodes by their parents in a topology, '' for none; what was opened is closed. */
export function group(by: string): void {
  batch(() => {
    grouping.value = by;
    openGroups.value = new Set();
  });
}

/** Keeps what is searched for, and asks for the next. */
export function pinQuery(): void {
  const text = query.value.trim();
  if (!text) return;
  batch(() => {
    if (!pins.value.includes(text)) pins.value = [...pins.value, text];
    query.value = '';
  });
}

export function unpin(pin: string): void {
  pins.value = pins.value.filter((other) => other !== pin);
}

export function openGroup(id: string): void {
  openGroups.value = new Set([...openGroups.value, id]);
}

export function choose(group: string, value: string): void {
  options.value = { ...options.value, [group]: value };
}

// Samples for sparklines -----------------------------------------------------------------------

const SAMPLES_MAX = 60;
const samples = new Map<string, number[]>();

export const samplesOf = (node: string, id: string): number[] => samples.get(`${node}\n${id}`) ?? [];

function sample(node: Summary): void {
  for (const item of node.metrics ?? []) {
    const key = `${node.id}\n${item.id}`;
    const list = samples.get(key) ?? [];
    list.push(item.value);
    if (list.length > SAMPLES_MAX) list.shift();
    samples.set(key, list);
  }
}

// The streams ------------------------------------------------------------------------------------

function apply(delta: Delta): void {
  if (paused.value && received.value) return;
  if (!isNews(delta)) {
    loading.value = delta.loading ?? null;
    return;
  }
  for (const node of [...(delta.add ?? []), ...(delta.update ?? [])]) sample(node);
  for (const id of delta.remove ?? []) {
    for (const key of samples.keys()) if (key.startsWith(`${id}\n`)) samples.delete(key);
  }
  batch(() => {
    nodes.value = applied(nodes.value, delta);
    loading.value = delta.loading ?? null;
    received.value = true;
  });
}

let stopFollowing = (): void => undefined;

function connect(): void {
  stopFollowing();
  stopFollowing = follow(topology.peek(), optionQuery(), {
    onDelta: apply,
    onConnection: (found) => {
      connection.value = found;
    },
  });
}

let stopLayers = (): void => undefined;

function connectLayers(): void {
  stopLayers();
  const stops = (Object.keys(LAYERS) as Layer[]).map(followLayer);
  stopLayers = () => {
    for (const stop of stops) stop();
    stopLayers = () => undefined;
  };
}

/** Stops what is shown, or goes on with what there is by then: what came between is not known. */
export function togglePause(): void {
  const isPaused = paused.value === null;
  paused.value = isPaused ? new Date() : null;
  if (isPaused) return;
  connect();
  if (areLayersShown.value) connectLayers();
}

function followLayer(layer: Layer): () => void {
  return follow(layer, LAYERS[layer], {
    onDelta: (delta) => {
      const known = layers.peek()[layer];
      if (!isNews(delta) || (paused.peek() && known)) return;
      layers.value = { ...layers.peek(), [layer]: applied(known ?? new Map(), delta) };
    },
    onConnection: () => undefined, // The view's own stream tells.
  });
}

// Polls -----------------------------------------------------------------------------------------

async function refreshMenu(): Promise<void> {
  try {
    const [menu, me] = await Promise.all([getTopologies(optionQuery()), getAbout()]);
    batch(() => {
      topologies.value = menu;
      about.value = me;
    });
  } catch {
    // The stream's state tells that the agent is away.
  }
}

let detailsTimer: ReturnType<typeof setTimeout> | undefined;

async function refreshDetails(): Promise<void> {
  clearTimeout(detailsTimer);
  const id = selected.peek();
  const where = topology.peek();
  if (!id) return;
  try {
    const found = await getDetails(where, id);
    if (selected.peek() !== id || topology.peek() !== where) return;
    batch(() => {
      if (!paused.value) details.value = found;
      missing.value = false;
    });
  } catch {
    if (selected.peek() === id) missing.value = true;
  }
  detailsTimer = setTimeout(() => void refreshDetails(), 2000);
}

export function startLook(): void {
  effect(() => {
    document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
    document.documentElement.dataset.contrast = contrast.value ? 'more' : 'normal';
  });
  CONTRAST.addEventListener('change', () => {
    if (!localStorage.getItem('weft-contrast')) contrast.value = CONTRAST.matches;
  });
}

export function start(): void {
  readHash();
  addEventListener('hashchange', readHash);
  addEventListener('popstate', readHash);
  effect(writeHash);
  let last = '';
  effect(() => {
    const key = `${topology.value}?${optionQuery()}`;
    if (key === last) return;
    last = key;
    batch(() => {
      nodes.value = new Map();
      received.value = false;
      loading.value = null;
      connection.value = 'connecting';
    });
    connect();
    void refreshMenu();
  });
  effect(() => {
    if (areLayersShown.value) {
      connectLayers();
      return;
    }
    stopLayers();
    layers.value = {};
  });
  effect(() => {
    if (metrics.value.length > 0 && metric.value) metric.value = metricLike(metric.value);
  });
  effect(() => {
    const id = selected.value;
    const where = topology.value;
    if (details.peek()?.id !== id) details.value = null;
    reachTo.value = null;
    missing.value = false;
    if (id && where) void refreshDetails();
  });
  effect(() => {
    const node = selected.value ? nodes.value.get(selected.value) : undefined;
    document.title = node ? `${node.label} – weft` : `${current.value?.name ?? 'weft'} – weft`;
  });
  setInterval(() => void refreshMenu(), 5000);
  getVisitor().then(
    (me) => {
      visitor.value = me;
    },
    () => undefined, // Somebody who may look at nothing sees that elsewhere.
  );
}

export function toggleTheme(): void {
  dark.value = !dark.value;
  localStorage.setItem('weft-theme', dark.value ? 'dark' : 'light');
}

export function toggleContrast(): void {
  contrast.value = !contrast.value;
  localStorage.setItem('weft-contrast', contrast.value ? 'more' : 'normal');
}
