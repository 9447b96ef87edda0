// What the agent answers: Weave Scope's JSON, with `edges` and `stale` added (docs/adr/0015).

export interface Row {
  id: string;
  label: string;
  value: string;
  dataType?: string;
  truncate?: number;
}

export interface Metric {
  id: string;
  label: string;
  format?: 'percent' | 'filesize' | 'integer';
  value: number;
  max: number;
}

export interface Parent {
  id: string;
  label: string;
  topologyId: string;
}

export interface Edge {
  connections: number;
  sent: number;
  received: number;
  retransmits: number;
  rtt_us: number;
  opened: number;
  failed: number;
  sent_total: number;
  received_total: number;
  packets_sent: number;
  packets_received: number;
  ports: string[];
  /** Of whom on the Internet, as those who ask know them. */
  names?: string[];
}

export interface Table {
  id: string;
  label: string;
  columns: { id: string; label: string }[];
  rows: { id: string; entries: Record<string, string> }[];
}

export interface Summary {
  id: string;
  label: string;
  labelMinor: string;
  rank: string;
  shape: string;
  stack?: boolean;
  pseudo?: boolean;
  stale?: number;
  metadata?: Row[];
  metrics?: Metric[];
  parents?: Parent[];
  tables?: Table[];
  adjacency?: string[];
  edges?: Record<string, Edge>;
}

export interface ReachName {
  id: string;
  label: string;
  topology: string;
}

/** How one host, container or process reaches another. */
export interface Reach {
  summary: string;
  connections: {
    port: string;
    client: ReachName;
    server: ReachName;
    carrier: string;
    encrypted: boolean | null;
    sent: number;
    received: number;
  }[];
  connections_left_out: number;
}

export interface Column {
  id: string;
  label: string;
  dataType?: string;
  defaultSort?: boolean;
}

export interface Connection {
  id: string;
  nodeId: string;
  label: string;
  labelMinor?: string;
  metadata: { id: string; value: string }[];
}

/** Something that can be done to a node. */
export interface Control {
  probeId: string;
  nodeId: string;
  id: string;
  human: string;
  rank: number;
  role: Role;
  confirmation?: string;
}

export type Role = 'viewer' | 'operator' | 'admin';

/** Who we are to the agent. */
export interface Visitor {
  name: string;
  role: Role;
  login: boolean;
}

export interface ControlResult {
  pipe?: string;
  raw_tty?: boolean;
  resize_tty_control?: string;
  removedNode?: string;
}

export interface Details extends Summary {
  controls?: Control[];
  children?: { id: string; label: string; topologyId: string; columns: Column[]; nodes: Summary[]; more: number }[];
  connections?: { id: string; topologyId: string; label: string; columns: Column[]; connections: Connection[] }[];
}

export interface OptionGroup {
  id: string;
  defaultValue: string;
  options: { value: string; label: string }[];
  /** 'union': any of the options, by commas; none is all. */
  selectType: 'one' | 'union';
  noneLabel: string;
}

export interface Topology {
  name: string;
  url: string;
  hide_if_empty: boolean;
  options: OptionGroup[];
  stats: { node_count: number; nonpseudo_node_count: number; edge_count: number; filtered_nodes: number };
  sub_topologies?: Topology[];
}

export interface Host {
  id: string;
  name: string;
  reachable: boolean;
  age: number | null;
  stale: number;
}

export interface About {
  id: string;
  version: string;
  hostname: string;
  hosts: Host[];
}

/** Of a view that is being made: how many hosts it shows. */
export interface Loading {
  hosts: number;
  of: number;
}

export interface Delta {
  add: Summary[] | null;
  update: Summary[] | null;
  remove: string[] | null;
  reset?: boolean;
  /** Nothing: all there is has been told. */
  loading?: Loading;
}

/** The last part of a topology's URL. */
export const topologyId = (topology: Topology): string => topology.url.split('/').pop() ?? '';

const url = (path: string): URL => new URL(path, document.baseURI.split('#')[0]);

async function get<T>(path: string): Promise<T> {
  const response = await fetch(url(path), { headers: { Accept: 'application/json' } });
  if (!response.ok) throw new Error(String(response.status));
  return (await response.json()) as T;
}

export const getTopologies = (query: string): Promise<Topology[]> => get(`api/topology?${query}`);
/** The nodes of a view. */
export const getNodes = async (topology: string, query: string): Promise<Summary[]> =>
  Object.values((await get<{ nodes: Record<string, Summary> }>(`api/topology/${topology}?${query}`)).nodes);
export const getAbout = (): Promise<About> => get('api');
export const getDetails = async (topology: string, id: string): Promise<Details> =>
  (await get<{ node: Details }>(`api/topology/${topology}/${encodeURIComponent(id)}`)).node;

/** Rejects with what is wrong with a name. */
export async function getReach(from: string, to: string): Promise<Reach> {
  const response = await fetch(url(`api/reach?${new URLSearchParams({ from, to }).toString()}`));
  const body = (await response.json()) as Reach | string;
  if (!response.ok || typeof body === 'string') throw new Error(String(body));
  return body;
}

export const getVisitor = (): Promise<Visitor> => get('api/visitor');

/** Rejects with what the host says is in the way. */
export async function perform(
  control: { probeId: string; nodeId: string; id: string },
  args: Record<string, string> = {},
): Promise<ControlResult> {
  const path = [control.probeId, control.nodeId, control.id].map(encodeURIComponent).join('/');
  const response = await fetch(url(`api/control/${path}`), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(args),
  });
  const body = (await response.json()) as ControlResult | string;
  if (!response.ok) throw new Error(typeof body === 'string' ? body : String(response.status));
  return body as ControlResult;
}

export function openPipe(pipe: string): WebSocket {
  const target = url(`api/pipe/${pipe}`);
  target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(target);
  socket.binaryType = 'arraybuffer';
  return socket;
}

export async function logOut(): Promise<void> {
  await fetch(url('logout'), { method: 'POST', redirect: 'manual' });
  location.reload();
}

export function openStream(topology: string, query: string): WebSocket {
  const target = url(`api/topology/${topology}/ws?t=5s&${query}`);
  target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(target);
}
