// How an edge looks for what it carries: how thick, in which tone, with which words. Pure.
import type { Edge, Summary } from './api';
import * as format from './format';

export type EdgeMetric = '' | 'traffic' | 'connections' | 'rtt' | 'trouble';
export type Tone = 'plain' | 'good' | 'warn' | 'bad';

export const EDGE_METRICS: [EdgeMetric, string][] = [
  ['traffic', 'Traffic'],
  ['connections', 'Connections'],
  ['rtt', 'Round trip'],
  ['trouble', 'Trouble'],
];

export interface Look {
  thickness: number;
  tone: Tone;
  label: string;
}

const THIN = 1.2;
const THICK = 6.2;

/** Powers of ten above `least` are steps of thickness; `steps` of them are the thickest. */
function thickness(value: number, least: number, steps: number): number {
  const step = Math.log10(1 + Math.max(0, value) / least);
  return THIN + (THICK - THIN) * Math.min(1, step / steps);
}

// Round trips: what people notice, and what they wait for.
const SLOW_US = 50_000;
const VERY_SLOW_US = 250_000;

function trouble(edge: Edge): Look {
  const words = [
    edge.failed > 0 ? `${edge.failed} failed` : '',
    edge.retransmits > 0 ? `${edge.retransmits} sent again` : '',
  ].filter(Boolean);
  return {
    thickness: thickness(edge.failed + edge.retransmits, 1, 4),
    tone: edge.failed > 0 ? 'bad' : edge.retransmits > 0 ? 'warn' : 'plain',
    label: words.join(', '),
  };
}

/** Of no metric, edges are as thick as what they carry and say nothing. */
export function edgeLook(edge: Edge | undefined, metric: EdgeMetric): Look {
  const plain: Look = { thickness: THIN, tone: 'plain', label: '' };
  if (!edge) return plain;
  const bytes = edge.sent + edge.received;
  if (metric === 'connections') {
    return { ...plain, thickness: thickness(edge.connections, 1, 4), label: String(edge.connections) };
  }
  if (metric === 'rtt') {
    const tone = edge.rtt_us > VERY_SLOW_US ? 'bad' : edge.rtt_us > SLOW_US ? 'warn' : 'plain';
    return { thickness: thickness(edge.rtt_us, 100, 4), tone, label: edge.rtt_us > 0 ? format.micros(edge.rtt_us) : '' };
  }
  if (metric === 'trouble') return trouble(edge);
  return { ...plain, thickness: thickness(bytes, 1, 8.3), label: metric === 'traffic' ? format.rate(bytes) : '' };
}

const hostOf = (peer: Summary): string => peer.parents?.find((parent) => parent.topologyId === 'hosts')?.label ?? peer.label;

/** How the overlay's frames go from one peer to another, as the first one's table of paths says; nothing if it does not. */
export function pathLook(from: Summary, to: Summary): Look | undefined {
  const rows = from.tables?.find((table) => table.id === 'weft_paths')?.rows ?? [];
  const path = rows.find((row) => row.entries['peer'] === hostOf(to))?.entries;
  if (!path) return undefined;
  const isLost = path['state'] !== 'in use';
  const isRelayed = path['path']?.startsWith('relay') ?? false;
  const tone = isLost ? 'bad' : isRelayed ? 'warn' : path['encrypted'] === 'yes' ? 'good' : 'plain';
  const words = [path['path'], isLost ? path['state'] : path['rtt']];
  return { thickness: 2.4, tone, label: words.filter(Boolean).join(' · ') };
}
