import assert from 'node:assert/strict';
import test from 'node:test';
import type { Edge, Summary } from '../../../ui-static/src/api';
import { type EdgeMetric, edgeLook, pathLook } from '../../../ui-static/src/edge-look';
import { QUIET } from './edges';

const quiet: Edge = { ...QUIET, connections: 1 };
const look = (metric: EdgeMetric, rest: Partial<Edge>) => edgeLook({ ...quiet, ...rest }, metric);

test('an edge says nothing unasked, and is thicker the more it carries', () => {
  assert.deepEqual(look('', {}), { thickness: 1.2, tone: 'plain', label: '' });
  assert.ok(look('', { sent: 1e6 }).thickness > look('', { sent: 1e3 }).thickness);
  assert.equal(look('', { sent: 1e12 }).thickness, 6.2);
  assert.equal(edgeLook(undefined, 'traffic').label, '');
});

test('asked for, it says what it carries, both ways', () => {
  assert.equal(look('traffic', { sent: 1024, received: 512 }).label, '1.5 KiB/s');
  assert.equal(look('connections', { connections: 12 }).label, '12');
});

test('a round trip that people notice stands out, one that is not known says nothing', () => {
  assert.deepEqual([look('rtt', { rtt_us: 400 }).tone, look('rtt', { rtt_us: 400 }).label], ['plain', '400 µs']);
  assert.equal(look('rtt', { rtt_us: 60_000 }).tone, 'warn');
  assert.equal(look('rtt', { rtt_us: 300_000 }).tone, 'bad');
  assert.equal(look('rtt', {}).label, '');
});

test('of trouble, failures are worse than what was sent again', () => {
  assert.deepEqual([look('trouble', {}).tone, look('trouble', {}).label], ['plain', '']);
  assert.deepEqual([look('trouble', { retransmits: 3 }).tone, look('trouble', { retransmits: 3 }).label], ['warn', '3 sent again']);
  const both = look('trouble', { failed: 2, retransmits: 1 });
  assert.deepEqual([both.tone, both.label], ['bad', '2 failed, 1 sent again']);
});

const peer = (id: string, paths: Record<string, string>[] = []): Summary => ({
  id,
  label: id,
  labelMinor: '',
  rank: '',
  shape: 'circle',
  parents: [{ id, label: `${id}.example.org`, topologyId: 'hosts' }],
  tables: [{ id: 'weft_paths', label: 'Paths', columns: [], rows: paths.map((entries) => ({ id: '', entries })) }],
});
const path = (rest: Record<string, string>) =>
  pathLook(peer('h1', [{ peer: 'h2.example.org', path: 'clear', encrypted: 'no', state: 'in use', rtt: '', ...rest }]), peer('h2'));

test("the overlay's edges tell their path, whether it is sealed, and that nothing answers", () => {
  assert.deepEqual([path({})?.tone, path({})?.label], ['plain', 'clear']);
  assert.deepEqual(
    [path({ path: 'sealed', encrypted: 'yes', rtt: '2 ms' })?.tone, path({ path: 'sealed', encrypted: 'yes', rtt: '2 ms' })?.label],
    ['good', 'sealed · 2 ms'],
  );
  assert.equal(path({ path: 'relay h3', encrypted: 'yes' })?.tone, 'warn');
  const lost = path({ state: 'nothing answers', rtt: '2 ms' });
  assert.deepEqual([lost?.tone, lost?.label], ['bad', 'clear · nothing answers']);
  assert.equal(pathLook(peer('h1'), peer('h2')), undefined);
});
