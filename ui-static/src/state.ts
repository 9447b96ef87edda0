// What is looked at and what is known: signals that the views read, and the connection that feeds
// them. The address bar holds what is looked at, so that links and the back button work.
import { batch, computed, effect, signal } from '@preact/signals';
import {
  type About,
  type Delta,
  type Details,
  type Metric,
  type Summary,
  type Topology,
  type Visitor,
  getAbout,
  getDetails,
  getTopologies,
  getVisitor,
  openStream,
  topologyId,
} from './api';
import { search } from './search';

export type Mode = 'graph' | 'table';
export type Connection = 'connecting' | 'live' | 'lost';

// What is looked at.
export const topology = signal('containers');
export const mode = signal<Mode>('graph');
export const selected = signal<string | null>(null);
// What the selected node is asked to reach: a node, or a name somebody wrote.
export const reachTo = signal<{ id: string; label: string } | null>(null);
export const query = signal('');
export const options = signal<Record<string, string>>({});
export const metric = signal('');
export const hovered = signal<string | null>(null);
export const helpOpen = signal(false);

const DARK = '(prefers-color-scheme: dark)';
const storedTheme = localStorage.getItem('weft-theme');
export const dark = signal(storedTheme ? storedTheme === 'dark' : matchMedia(DARK).matches);

// What is known.
export const topologies = signal<Topology[]>([]);
export const about = signal<About | null>(null);
export const nodes = signal<ReadonlyMap<string, Summary>>(new Map());
export const connection = signal<Connection>('connecting');
export const received = signal(false); // The first frame of this topology is here.
export const details = signal<Details | null>(null);
export const missing = signal(false); // The selected node is gone.
export const paused = signal(false);
export const visitor = signal<Visitor | null>(null);

/** A pipe to a terminal or to a log, and what it is of. */
export interface Session {
  pipe: string;
  title: string;
  rawTty: boolean;
  resize?: { probeId: string; nodeId: string; id: string };
}
export const session = signal<Session | null>(null);

export const matches = computed(() => search(query.value, nodes.value.values()));

const all = (list: Topology[]): Topology[] => list.flatMap((item) => [item, ...all(item.sub_topologies ?? [])]);
export const current = computed(() => all(topologies.value).find((item) => topologyId(item) === topology.value));

export const metrics = computed(() => {
  const found = new Map<string, Metric>();
  for (const node of nodes.value.values()) {
    for (const item of node.metrics ?? []) if (!found.has(item.id)) found.set(item.id, item);
  }
  return [...found.values()];
});

export const optionValue = (group: { id: string; defaultValue: string }): string =>
  options.value[group.id] ?? group.defaultValue;

// Any parameter makes Scope's API fill in the defaults of the groups that are not named.
const optionQuery = (): string => new URLSearchParams({ view: 'ui', ...options.value }).toString();

// The address bar ------------------------------------------------------------------------------

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
    mode.value = wanted.get('mode') === 'table' ? 'table' : 'graph';
    selected.value = wanted.get('node');
    query.value = wanted.get('q') ?? '';
    metric.value = wanted.get('metric') ?? '';
    if (JSON.stringify(chosen) !== JSON.stringify(options.value)) options.value = chosen;
  });
  applying = false;
}

function writeHash(): void {
  const wanted = new URLSearchParams();
  if (mode.value !== 'graph') wanted.set('mode', mode.value);
  if (selected.value) wanted.set('node', selected.value);
  if (query.value) wanted.set('q', query.value);
  if (metric.value) wanted.set('metric', metric.value);
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

// The stream -------------------------------------------------------------------------------------

const RETRY_MS = [500, 1000, 2000, 5000];
let socket: WebSocket | null = null;
let attempts = 0;
let retry: ReturnType<typeof setTimeout> | undefined;

function apply(delta: Delta): void {
  if (paused.value && !delta.reset) return;
  if (!delta.reset && !delta.add && !delta.update && !delta.remove) return;
  const next = delta.reset ? new Map<string, Summary>() : new Map(nodes.value);
  for (const node of [...(delta.add ?? []), ...(delta.update ?? [])]) {
    next.set(node.id, node);
    sample(node);
  }
  for (const id of delta.remove ?? []) {
    next.delete(id);
    for (const key of samples.keys()) if (key.startsWith(`${id}\n`)) samples.delete(key);
  }
  batch(() => {
    nodes.value = next;
    received.value = true;
  });
}

function connect(): void {
  clearTimeout(retry);
  socket?.close();
  const mine = openStream(topology.peek(), optionQuery());
  socket = mine;
  mine.onmessage = (event: MessageEvent<string>) => {
    if (socket !== mine) return;
    attempts = 0;
    connection.value = 'live';
    apply(JSON.parse(event.data) as Delta);
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    connection.value = attempts === 0 && !received.value ? 'connecting' : 'lost';
    retry = setTimeout(connect, RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]);
    attempts += 1;
  };
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
      connection.value = 'connecting';
      metric.value = metric.peek();
    });
    connect();
    void refreshMenu();
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
    document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
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
