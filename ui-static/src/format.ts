// Numbers, durations and dates for people.
import type { Loading, Metric, Row } from './api';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const rate = (value: number): string => `${bytes(value)}/s`;

export function metric(m: Pick<Metric, 'format' | 'value'>): string {
  if (m.format === 'filesize') return bytes(m.value);
  if (m.format === 'percent') return `${m.value < 10 ? m.value.toFixed(1) : Math.round(m.value)} %`;
  return m.format === 'integer' ? Math.round(m.value).toLocaleString('en') : m.value.toFixed(2);
}

/** How far a view is that is being made. */
export const loading = ({ hosts, of }: Loading): string =>
  hosts < of
    ? `Showing ${hosts.toLocaleString('en')} of ${counted(of, 'host')}`
    : `All of ${counted(of, 'host')}; connections follow`;

export function duration(seconds: number): string {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

export const micros = (us: number): string =>
  us === 0 ? '–' : us < 1000 ? `${us} µs` : `${(us / 1000).toFixed(us < 10000 ? 1 : 0)} ms`;

export function row(r: Row): string {
  if (r.dataType === 'duration') return duration(Number(r.value));
  if (r.dataType === 'datetime') return `${duration((Date.now() - Date.parse(r.value)) / 1000)} ago`;
  return r.truncate && r.value.length > r.truncate ? `${r.value.slice(0, r.truncate)}…` : r.value;
}

export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** A cell of a connection table. */
export function cell(column: string, value: string): string {
  const number = Number(value);
  if (column === 'sent' || column === 'received') return rate(number);
  if (column === 'rtt_us') return micros(number);
  return value;
}
