// The foot of the page: how much is shown, what of it, and how fresh it is.
import { toggled } from './choice';
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

interface SwitchProps<Id extends string> {
  name: string;
  choices: readonly (readonly [id: Id, label: string])[];
  /** Nothing: none is pressed. */
  pressed: string | string[] | null;
  press: (id: Id) => void;
}

function Switch<Id extends string>({ name, choices, pressed, press }: SwitchProps<Id>) {
  const isPressed = (id: string): boolean => (Array.isArray(pressed) ? pressed.includes(id) : pressed === id);
  return (
    <div class="switch small" role="group" aria-label={name}>
      {choices.map(([id, label]) => (
        <button type="button" key={id} aria-pressed={isPressed(id)} onClick={() => press(id)}>
          {label}
        </button>
      ))}
    </div>
  );
}

function Options() {
  return (
    <>
      {current.value?.options.map((group) => {
        const choices = group.options.map((option) => [option.value, option.label] as const);
        const isUnion = group.selectType === 'union';
        return (
          <Switch
            key={group.id}
            name={group.id}
            choices={isUnion ? [['', group.noneLabel] as const, ...choices] : choices}
            pressed={isUnion ? optionValue(group).split(',') : optionValue(group)}
            press={(id) => choose(group.id, isUnion ? toggled(optionValue(group), id) : id)}
          />
        );
      })}
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
      <Switch
        name="Metric of the boxes"
        choices={kinds}
        pressed={kind}
        press={(id) => {
          metric.value = metrics.value.find((found) => kindOf(found.id) === id)?.id ?? id;
        }}
      />
      <Switch
        name="Width of hosts"
        choices={extents}
        pressed={extent.value}
        press={(id) => {
          extent.value = id;
        }}
      />
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
    <Switch
      name="Groups of nodes"
      choices={['', ...there].map((by) => [by, GROUP_NAMES[by] ?? 'Ungrouped'])}
      pressed={openGroups.value.size === 0 ? groupedBy.value : null}
      press={group}
    />
  );
}

/** What the graph shows on its nodes and edges, and what it draws as one. */
function GraphOptions() {
  return (
    <>
      <Groups />
      {metrics.value.length > 0 && (
        <Switch
          name="Metric on the nodes"
          choices={metrics.value.map((found) => [found.id, found.label])}
          pressed={metric.value}
          press={(id) => {
            metric.value = metric.value === id ? '' : id;
          }}
        />
      )}
      {topology.value !== 'weave' && (
        <Switch
          name="Metric on the edges"
          choices={EDGE_METRICS}
          pressed={edgeMetric.value}
          press={(id) => {
            edgeMetric.value = edgeMetric.value === id ? '' : id;
          }}
        />
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
