// Stands for an agent: the built page, compressed as the agent has it, and a cluster of as many containers as asked
// for, which talk within their services and to those of others. The WebSocket is the browser's to fake (measure.mjs).
import { createServer } from 'node:http';
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

// The same cluster each time.
function sequence(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

export function cluster(count) {
  const next = sequence(7);
  const perService = 12;
  const id = (index) => `container-${index};<container>`;
  return Array.from({ length: count }, (_, index) => {
    const service = Math.floor(index / perService);
    const first = service * perService;
    const asked = new Set([first + next(Math.min(perService, count - first))]);
    if (next(4) === 0) asked.add(next(count));
    asked.delete(index);
    const adjacency = [...asked].filter((other) => other < count).map(id);
    const edge = { connections: 1 + next(9), sent: next(1e6), received: next(1e6), retransmits: 0, rtt_us: 200, opened: 10, failed: 0, packets_sent: 9, packets_received: 9, sent_total: 0, received_total: 0, ports: ['80/tcp'] };
    return {
      id: id(index),
      label: `service-${service}-${index % perService}`,
      labelMinor: `h${next(100)}`,
      rank: `image-${service % 40}`,
      shape: 'hexagon',
      metrics: [{ id: 'docker_cpu_total_usage', label: 'CPU', format: 'percent', value: next(100), max: 100 }],
      adjacency,
      edges: Object.fromEntries(adjacency.map((other) => [other, edge])),
    };
  });
}

export async function serve(folder, nodes) {
  const files = new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .map((file) => [`/${relative(folder, file)}`, gzipSync(readFileSync(file), { level: 9 })]),
  );
  const compressed = [...files.values()].reduce((sum, file) => sum + file.length, 0) / 1000;
  files.set('/', files.get('/index.html'));
  const edges = nodes.reduce((sum, node) => sum + node.adjacency.length, 0);
  const stats = { node_count: nodes.length, nonpseudo_node_count: nodes.length, edge_count: edges, filtered_nodes: 0 };
  const answers = {
    '/api': { id: 'bench', version: '0', hostname: 'bench', hosts: [] },
    '/api/visitor': { name: '', role: 'viewer', login: false },
    '/api/topology': [{ name: 'Containers', url: '/api/topology/containers', hide_if_empty: false, options: [], stats }],
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://bench');
    if (files.has(pathname)) {
      const type = TYPES[extname(pathname)] ?? 'text/html';
      response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Content-Encoding': 'gzip' });
      response.end(files.get(pathname));
    } else {
      response.writeHead(pathname in answers ? 200 : 404, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(answers[pathname] ?? 'no such path'));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, compressed, base: `http://127.0.0.1:${server.address().port}` };
}
