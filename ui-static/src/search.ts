// Scope's search: words are regular expressions over everything a node says; `field:text` looks into
// one field; `metric > 10%`, `< = ` compare, with k, m, g, t as powers of 1024.
import type { Summary } from './api';

type Test = (node: Summary) => boolean;

const slug = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch {
    return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
  }
}

const POWERS: Record<string, number> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

function comparison(text: string): Test | null {
  const match = /^([^<>=]+?)\s*([<>=])\s*([\d.]+)\s*([kmgt]?)[b%]?$/i.exec(text);
  if (!match) return null;
  const field = slug(match[1] ?? '');
  const limit = Number(match[3]) * 1024 ** (POWERS[(match[4] ?? '').toLowerCase()] ?? 0);
  return (node) =>
    (node.metrics ?? []).some((m) => {
      if (!slug(m.label).startsWith(field) && slug(m.id) !== field) return false;
      if (match[2] === '<') return m.value < limit;
      if (match[2] === '>') return m.value > limit;
      return m.value === limit;
    });
}

function texts(node: Summary): [string, string][] {
  const pairs: [string, string][] = [
    ['name', node.label],
    ['label', node.label],
    ['host', node.labelMinor],
  ];
  for (const row of node.metadata ?? []) pairs.push([row.label, row.value]);
  for (const parent of node.parents ?? []) pairs.push([parent.topologyId.replace(/s$/, ''), parent.label]);
  for (const table of node.tables ?? []) {
    for (const row of table.rows) pairs.push([table.label, Object.values(row.entries).join(' ')]);
  }
  for (const edge of Object.values(node.edges ?? {})) {
    for (const name of edge.names ?? []) pairs.push(['remote', name]);
  }
  return pairs;
}

function compile(text: string): Test {
  const compare = comparison(text);
  if (compare) return compare;
  const colon = text.indexOf(':');
  if (colon > 0) {
    const field = slug(text.slice(0, colon));
    const value = pattern(text.slice(colon + 1).trim());
    return (node) => texts(node).some(([key, content]) => slug(key).startsWith(field) && value.test(content));
  }
  const value = pattern(text);
  return (node) => texts(node).some(([, content]) => value.test(content));
}

const compiled = (queries: string[]): Test[] =>
  queries
    .map((query) => query.trim())
    .filter(Boolean)
    .map(compile);

/** The ids that match all of the searches; null if nothing is searched for. */
export function search(queries: string[], nodes: Iterable<Summary>): Set<string> | null {
  const tests = compiled(queries);
  if (tests.length === 0) return null;
  const found = new Set<string>();
  for (const node of nodes) {
    if (tests.every((test) => test(node))) found.add(node.id);
  }
  return found;
}

/** Of the nodes those that match all of the searches. */
export function narrowed(nodes: ReadonlyMap<string, Summary>, queries: string[]): ReadonlyMap<string, Summary> {
  const found = search(queries, nodes.values());
  return found ? new Map([...nodes].filter(([id]) => found.has(id))) : nodes;
}
