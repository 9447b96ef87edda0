import assert from 'node:assert/strict';
import test from 'node:test';
import type { Edge, Summary } from '../../../ui-static/src/api';
import { GROUPED_FROM, type Drawn, grouped, groupingOf, groupings, standIns } from '../../../ui-static/src/groups';
import { QUIET } from './edges';

const CLOSED = new Set<string>();

const edge = (rest: Partial<Edge>): Edge => ({ ...QUIET, ...rest });

const container = (id: string, host: string, to: Record<string, Edge> = {}): Summary => ({
  id,
  label: id,
  labelMinor: host,
  rank: '',
  shape: 'hexagon',
  metrics: [{ id: 'cpu', label: 'CPU', format: 'percent', value: 10, max: 400 }],
  parents: [
    { id: `image-${id}`, label: 'image', topologyId: 'containers-by-image' },
    { id: host, label: host, topologyId: 'hosts' },
  ],
  adjacency: Object.keys(to),
  edges: to,
});
const internet: Summary = { id: 'net', label: 'The Internet', labelMinor: '', rank: '', shape: 'cloud', pseudo: true };
const all = (...list: Summary[]) => new Map(list.map((node) => [node.id, node]));

// a1 and a2 on host a, b1 and b2 on host b, c alone on c.
const nodes = all(
  container('a1', 'a', { a2: edge({ sent: 9 }), b1: edge({ sent: 1, rtt_us: 5, ports: ['80'] }) }),
  container('a2', 'a', { b2: edge({ sent: 2, rtt_us: 3, ports: ['80', '443'] }), net: edge({ sent: 4 }) }),
  container('b1', 'b'),
  container('b2', 'b', { c: edge({ sent: 7 }) }),
  container('c', 'c'),
  internet,
);
const at = (drawn: ReadonlyMap<string, Drawn>, id: string): Drawn => {
  const found = drawn.get(id);
  assert.ok(found, `${id} is among ${[...drawn.keys()].join(', ')}`);
  return found;
};

test('nodes of one host are one node; what is alone, or stands for others already, is itself', () => {
  const drawn = grouped(nodes, 'hosts', CLOSED);

  assert.deepEqual([...drawn.keys()].sort(), ['c', 'group:a', 'group:b', 'net']);
  assert.deepEqual(at(drawn, 'group:a').members, ['a1', 'a2']);
  assert.equal(at(drawn, 'group:a').labelMinor, '2 nodes');
});

test('edges of a group are the sums of those that leave it', () => {
  const drawn = grouped(nodes, 'hosts', CLOSED);

  const { adjacency, edges } = at(drawn, 'group:a');
  assert.deepEqual(adjacency, ['group:b', 'net']);
  assert.deepEqual(edges?.['group:b'], edge({ sent: 3, rtt_us: 5, ports: ['80', '443'] }));
  assert.deepEqual(at(drawn, 'group:b').adjacency, ['c']);
});

test('metrics of a group are sums, of the same whole', () => {
  assert.deepEqual(at(grouped(nodes, 'hosts', CLOSED), 'group:a').metrics, [
    { id: 'cpu', label: 'CPU', format: 'percent', value: 20, max: 400 },
  ]);
});

test('an open group is its nodes, with edges to other groups', () => {
  const drawn = grouped(nodes, 'hosts', new Set(['group:a']));

  assert.deepEqual([...drawn.keys()].sort(), ['a1', 'a2', 'c', 'group:b', 'net']);
  assert.deepEqual(at(drawn, 'a1').adjacency, ['a2', 'group:b']);
});

test('grouping leaves what is known as it was', () => {
  const before = JSON.stringify([...nodes]);

  grouped(nodes, 'hosts', CLOSED);
  grouped(nodes, 'hosts', new Set(['group:a']));

  assert.equal(JSON.stringify([...nodes]), before);
  assert.equal(grouped(nodes, '', CLOSED), nodes);
});

test('one can group by what several nodes have in common', () => {
  assert.deepEqual(groupings(nodes), ['hosts']);
  assert.deepEqual(groupings(all(internet)), []);
});

test('large views are grouped unasked, unless it is asked for otherwise', () => {
  const large = all(...Array.from({ length: GROUPED_FROM + 1 }, (_, index) => container(`c${index}`, `h${index % 7}`)));

  assert.equal(groupingOf(nodes, null), '');
  assert.equal(groupingOf(nodes, 'hosts'), 'hosts');
  assert.equal(groupingOf(large, null), 'hosts');
  assert.equal(groupingOf(large, ''), '');
  assert.equal(grouped(large, groupingOf(large, null), CLOSED).size, 7);
});

test('a node in a closed group is found by the group', () => {
  const found = standIns(grouped(nodes, 'hosts', CLOSED));

  assert.equal(found.get('a2'), 'group:a');
  assert.equal(found.get('c'), undefined);
});
