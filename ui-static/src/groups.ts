// Of a view that is too large to be read, nodes that share a parent as one node, until it is opened. Pure.
import type { Edge, Metric, Summary } from './api';
import type { Nodes } from './stream';

/** A node, or several as one. */
export interface Drawn extends Summary {
  members?: string[];
}

/** More nodes than this are grouped unasked: their labels no longer fit beside each other. */
export const GROUPED_FROM = 400;

const PREFIX = 'group:';

/** By what nodes can be grouped, the one first that large views are grouped by. */
const GROUPINGS = ['hosts', 'containers', 'swarm-services', 'containers-by-image', 'containers-by-network'];

/** The topologies whose nodes are parents of several of these. */
export function groupings(nodes: Nodes): string[] {
  const seen = new Set<string>();
  const found = new Set<string>();
  for (const node of nodes.values()) {
    for (const parent of node.parents ?? []) {
      if (seen.has(parent.id)) found.add(parent.topologyId);
      seen.add(parent.id);
    }
  }
  return GROUPINGS.filter((by) => found.has(by));
}

/** What nodes are grouped by: as `chosen`, '' for none; where nothing is, large views by the first grouping there is. */
export function groupingOf(nodes: Nodes, chosen: string | null): string {
  if (chosen !== null) return chosen;
  return nodes.size > GROUPED_FROM ? (groupings(nodes)[0] ?? '') : '';
}

function sum(a: Edge | undefined, b: Edge): Edge {
  if (!a) return b;
  const names = new Set([...(a.names ?? []), ...(b.names ?? [])]);
  return {
    connections: a.connections + b.connections,
    sent: a.sent + b.sent,
    received: a.received + b.received,
    retransmits: a.retransmits + b.retransmits,
    rtt_us: Math.max(a.rtt_us, b.rtt_us),
    opened: a.opened + b.opened,
    failed: a.failed + b.failed,
    sent_total: a.sent_total + b.sent_total,
    received_total: a.received_total + b.received_total,
    packets_sent: a.packets_sent + b.packets_sent,
    packets_received: a.packets_received + b.packets_received,
    ports: [...new Set([...a.ports, ...b.ports])],
    ...(names.size > 0 && { names: [...names] }),
  };
}

function addMetrics(to: Metric[], from: Metric[]): void {
  for (const metric of from) {
    const same = to.find((item) => item.id === metric.id);
    if (same) {
      same.value += metric.value;
      same.max = Math.max(same.max, metric.max);
    } else to.push({ ...metric });
  }
}

/** The group of each node that is in one: of two or more, and not open. */
function groupsOf(nodes: Nodes, by: string, open: ReadonlySet<string>): Map<string, Drawn> {
  const groups = new Map<string, Drawn>();
  const groupOf = new Map<string, Drawn>();
  for (const node of nodes.values()) {
    const parent = node.parents?.find((item) => item.topologyId === by);
    const id = PREFIX + parent?.id;
    if (!parent || node.pseudo || open.has(id)) continue;
    const group: Drawn = groups.get(id) ?? {
      id,
      label: parent.label,
      labelMinor: '',
      rank: parent.label,
      shape: node.shape,
      stack: true,
      metrics: [],
      members: [],
    };
    groups.set(id, group);
    group.members?.push(node.id);
    groupOf.set(node.id, group);
  }
  for (const [id, group] of groupOf) if (group.members?.length === 1) groupOf.delete(id);
  return groupOf;
}

/** The nodes with those of each closed group as one, whose edges and metrics are the sums of theirs. */
export function grouped(nodes: Nodes, by: string, open: ReadonlySet<string>): ReadonlyMap<string, Drawn> {
  if (!by) return nodes;
  const groupOf = groupsOf(nodes, by, open);
  const drawn = new Map<string, Drawn>();
  for (const [id, node] of nodes) {
    const group = groupOf.get(id);
    const from: Drawn = group ?? { ...node };
    drawn.set(from.id, from);
    if (group) {
      group.labelMinor = `${group.members?.length ?? 0} nodes`;
      group.stale = Math.max(group.stale ?? 0, node.stale ?? 0);
      addMetrics(group.metrics ?? [], node.metrics ?? []);
    }
    const edges: Record<string, Edge> = group?.edges ?? {};
    const adjacency = new Set(group?.adjacency);
    for (const to of node.adjacency ?? []) {
      const end = groupOf.get(to)?.id ?? to;
      if (end === from.id) continue;
      adjacency.add(end);
      const edge = node.edges?.[to];
      if (edge) edges[end] = sum(edges[end], edge);
    }
    from.edges = edges;
    from.adjacency = [...adjacency];
  }
  return drawn;
}

/** What stands for a node in the picture: itself, or the group it is in. */
export function standIns(drawn: ReadonlyMap<string, Drawn>): Map<string, string> {
  const found = new Map<string, string>();
  for (const [id, node] of drawn) for (const member of node.members ?? []) found.set(member, id);
  return found;
}
