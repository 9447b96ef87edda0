import assert from 'node:assert/strict';
import test from 'node:test';
import type { Summary } from '../../../ui-static/src/api';
import { narrowed, search } from '../../../ui-static/src/search';
import { QUIET } from './edges';

const web: Summary = {
  id: 'web',
  label: 'web',
  labelMinor: 'h1',
  rank: '',
  shape: '',
  metadata: [{ id: 'image', label: 'Image name', value: 'nginx' }],
  metrics: [{ id: 'docker_memory_usage', label: 'Memory', format: 'filesize', value: 60 * 1024 ** 2, max: 0 }],
  parents: [{ id: 'n', label: 'front:80', topologyId: 'networks' }],
};
const db: Summary = {
  ...web,
  id: 'db',
  label: 'db',
  labelMinor: 'h2',
  metadata: [{ id: 'image', label: 'Image name', value: 'postgres' }],
  metrics: [{ id: 'docker_memory_usage', label: 'Memory', format: 'filesize', value: 40 * 1024 ** 2, max: 0 }],
  parents: [],
  tables: [
    { id: 't', label: 'Docker labels', columns: [], rows: [{ id: 'r', entries: { label: 'tier', value: 'a=b' } }] },
  ],
};

const found = (query: string): string[] | null => {
  const ids = search([query], [web, db]);
  return ids && [...ids].sort();
};

test('nothing is searched for: not even what matches nothing', () => assert.equal(found('  '), null));

test('who is asked outside is found by name', () => {
  const asks: Summary = { ...web, edges: { 'out-theinternet': { ...QUIET, names: ['api.example.org'] } } };
  assert.deepEqual([...(search(['example.org'], [asks, db]) ?? [])], ['web']);
  assert.deepEqual([...(search(['remote:api'], [asks, db]) ?? [])], ['web']);
});

test('words are regular expressions over everything a node says, or are taken as they are', () => {
  assert.deepEqual(found('NGINX'), ['web']);
  assert.deepEqual(found('nginx|postgres'), ['db', 'web']);
  assert.deepEqual(found('tier'), ['db']);
  assert.deepEqual(found('(nginx'), []);
});

test('a field is named by what its name begins with, and its text may have colons', () => {
  assert.deepEqual(found('image:post'), ['db']);
  assert.deepEqual(found('host:h1'), ['web']);
  assert.deepEqual(found('network:front:80'), ['web']);
});

test('metrics are compared, with powers of 1024', () => {
  assert.deepEqual(found('memory > 50M'), ['web']);
  assert.deepEqual(found('memory<50m'), ['db']);
  assert.deepEqual(found('memory = 40M'), ['db']);
});

test('several searches must all match', () => {
  assert.deepEqual([...(search(['image:nginx|postgres', 'memory > 50M', ' '], [web, db]) ?? [])], ['web']);
});

test('pinned searches leave only what matches them all', () => {
  const nodes = new Map([web, db].map((node) => [node.id, node]));

  assert.equal(narrowed(nodes, []), nodes);
  assert.deepEqual([...narrowed(nodes, ['host:h2']).keys()], ['db']);
  assert.deepEqual([...narrowed(nodes, ['host:h2', 'nginx']).keys()], []);
});
