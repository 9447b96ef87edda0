// The foot of the page: how much is shown, what of it, and how fresh it is.
import { EDGE_METRICS } from './edge-look';
import * as format from './format';
import { groupings } from './groups';
import { kindOf } from './resource-layout';
import {
  about,
  choose,
  current,
  drawn,
  edgeMetric,
  exporter,
  extent,
  group,
  groupedBy,
  layers,
  metric,
  metrics,
  mode,
  openGroups,
  optionValue,
  pinned,
  topology,
} from './state';

function Stats() {
  const item = current.value;
  if (mode.value === 'resources') {
    const { hosts, containers, processes } = layers.value;
    return (
      <span class="stats" role="status">
        {format.counted(hosts?.size ?? 0, 'host')}, {format.counted(containers?.size ?? 0, 'container')},{' '}
        {format.counted(processes?.size ?? 0, 'process', 'processes')}
      </span>
    );
  }
  const shown = pinned.value;
  const edges = [...shown.values()].reduce((sum, node) => sum + (node.adjacency?.filter((to) => shown.has(to)).length ?? 0), 0);
  return (
    <span class="stats" role="status">
      {format.counted(shown.size, 'node')}, {format.counted(edges, 'edge')}
      {mode.value === 'graph' && drawn.value.size < shown.size ? `, drawn as ${drawn.value.size}` : ''}
      {item && item.stats.filtered_nodes > 0 ? ` (${item.stats.filtered_nodes} filtered)` : ''}
    </span>
  );
}

function Options() {
  return (
    <>
      {current.value?.options.map((group) => (
        <div class="switch small" role="group" aria-label={group.id} key={group.id}>
          {group.options.map((option) => (
            <button
              type="button"
              key={option.value}
              aria-pressed={optionValue(group) === option.value}
              onClick={() => choose(group.id, option.value)}
            >
              {option.label}
            </button>
          ))}
        </div>
      ))}
    </>
  );
}

/** What the boxes of the resource view are as wide as. */
function Widths() {
  const kind = kindOf(metric.value);
  const kinds = [
    ['cpu', 'CPU'],
    ['memory', 'Memory'],
  ] as const;
  const extents = [
    ['all', 'All there is'],
    ['used', 'What is used'],
  ] as const;
  return (
    <>
      <div class="switch small" role="group" aria-label="Metric of the boxes">
        {kinds.map(([id, label]) => (
          <button
            type="button"
            key={id}
            aria-pressed={kind === id}
            onClick={() => {
              metric.value = metrics.value.find((found) => kindOf(found.id) === id)?.id ?? id;
            }}
          >
            {label}
          </button>
        ))}
      </div>
      <div class="switch small" role="group" aria-label="Width of hosts">
        {extents.map(([id, label]) => (
          <button
            type="button"
            key={id}
            aria-pressed={extent.value === id}
            onClick={() => {
              extent.value = id;
            }}
          >
            {label}
          </button>
        ))}
      </div>
    </>
  );
}

const GROUP_NAMES: Record<string, string> = {
  hosts: 'by host',
  containers: 'by container',
  'swarm-services': 'by service',
  'containers-by-image': 'by image',
  'containers-by-network': 'by network',
};

function Groups() {
  const there = groupings(pinned.value);
  if (there.length === 0) return null;
  return (
    <div class="switch small" role="group" aria-label="Groups of nodes">
      {['', ...there].map((by) => (
        <button type="button" key={by} aria-pressed={groupedBy.value === by && openGroups.value.size === 0} onClick={() => group(by)}>
          {GROUP_NAMES[by] ?? 'Ungrouped'}
        </button>
      ))}
    </div>
  );
}

/** What the graph shows on its nodes and edges, and what it draws as one. */
function GraphOptions() {
  return (
    <>
      <Groups />
      {metrics.value.length > 0 && (
        <div class="switch small" role="group" aria-label="Metric on the nodes">
          {metrics.value.map((found) => (
            <button
              type="button"
              key={found.id}
              aria-pressed={metric.value === found.id}
              onClick={() => {
                metric.value = metric.value === found.id ? '' : found.id;
              }}
            >
              {found.label}
            </button>
          ))}
        </div>
      )}
      {topology.value !== 'weave' && (
        <div class="switch small" role="group" aria-label="Metric on the edges">
          {EDGE_METRICS.map(([id, label]) => (
            <button
              type="button"
              key={id}
              aria-pressed={edgeMetric.value === id}
              onClick={() => {
                edgeMetric.value = edgeMetric.value === id ? '' : id;
              }}
            >
              {label}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

export function Footer() {
  const late = about.value?.hosts.filter((host) => host.stale > 0 || host.age === null) ?? [];
  return (
    <footer class="bottom">
      <Stats />
      {mode.value === 'resources' ? <Widths /> : <Options />}
      {mode.value === 'graph' && <GraphOptions />}
      <span class="grow" />
      {late.map((host) => (
        <span class="late" key={host.id}>
          {host.name}: {host.age === null ? 'no data yet' : `${format.duration(host.age)} old`}
        </span>
      ))}
      {exporter.value && (
        <button type="button" class="quiet" onClick={exporter.value.run}>
          {exporter.value.label}
        </button>
      )}
      <span class="about">
        {about.value ? `${about.value.hosts.length} hosts · from ${about.value.hostname} · ${about.value.version}` : ''}
      </span>
    </footer>
  );
}
