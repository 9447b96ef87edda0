// Everything about the selected node.
import type { Column, Connection, Details, Summary, Table } from './api';
import { paint } from './color';
import { Controls } from './controls';
import * as format from './format';
import { useMore } from './more';
import { ReachSection } from './reach';
import { Spark } from './spark';
import { dark, details, metric, missing, nodes, samplesOf, selected, show, topology } from './state';

/** Of a table, before somebody asks for more. */
const ROWS = 50;

function Metrics({ node }: { node: Summary }) {
  if (!node.metrics?.length) return null;
  return (
    <div class="metrics">
      {node.metrics.map((item) => (
        <button
          type="button"
          key={item.id}
          class={metric.value === item.id ? 'metric on' : 'metric'}
          title="Show on the graph"
          aria-pressed={metric.value === item.id}
          onClick={() => {
            metric.value = metric.value === item.id ? '' : item.id;
          }}
        >
          <span class="metric-label">{item.label}</span>
          <strong>{format.metric(item)}</strong>
          <Spark values={samplesOf(node.id, item.id)} max={item.max} label={`${item.label} over the last minute`} />
        </button>
      ))}
    </div>
  );
}

function Info({ node }: { node: Summary }) {
  if (!node.metadata?.length) return null;
  return (
    <section>
      <h3>Info</h3>
      <dl>
        {node.metadata.map((item) => (
          <div key={item.id}>
            <dt>{item.label}</dt>
            <dd title={item.value}>{format.row(item)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const cellOf = (connection: Connection, column: string): string =>
  format.cell(column, connection.metadata.find((item) => item.id === column)?.value ?? '');

/** Trouble: columns that are worth their room when there is something in them. */
const RARE = new Set(['retransmits', 'opened', 'failed']);

/** What is said below another cell, in small: there is no room for a column. */
const PACKETS: Record<string, string> = { sent: 'packets_sent', received: 'packets_received' };
const BELOW = new Set(Object.values(PACKETS));

const isShown = (column: Column, connections: Connection[]): boolean =>
  !BELOW.has(column.id) &&
  (!RARE.has(column.id) || connections.some((item) => item.metadata.some((cell) => cell.id === column.id && cell.value !== '0')));

/** Counted only while BPF counts. */
function Packets({ connection, column }: { connection: Connection; column: string }) {
  const count = PACKETS[column] ? cellOf(connection, PACKETS[column]) : '';
  return count && count !== '0' ? <small>{count} pkt</small> : null;
}

function Connections({ table }: { table: NonNullable<Details['connections']>[number] }) {
  const [shown, more] = useMore(table.connections.length, ROWS, selected.value ?? '');
  if (table.connections.length === 0) return null;
  const columns = table.columns.filter((column) => isShown(column, table.connections));
  const arrow = table.id === 'incoming-connections' ? '←' : '→';
  return (
    <section>
      <h3>
        {arrow} {table.label} <span class="count">{table.connections.length}</span>
      </h3>
      <div class="wide" role="region" aria-label={table.label} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Peer</th>
              {columns.map((column: Column) => (
                <th scope="col" key={column.id} class={column.dataType === 'number' ? 'number' : ''}>
                  {column.label.replace(' B/s', '').replace(' µs', '')}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.connections.slice(0, shown).map((connection) => (
              <tr key={connection.id}>
                <td>
                  <button type="button" class="link" onClick={() => show({ node: connection.nodeId })} title={connection.labelMinor}>
                    {connection.label}
                  </button>
                </td>
                {columns.map((column: Column) => (
                  <td key={column.id} class={column.dataType === 'number' ? 'number' : ''}>
                    {cellOf(connection, column.id)}
                    <Packets connection={connection} column={column.id} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more}
    </section>
  );
}

function childCell(node: Summary, column: Column): string {
  const found = node.metrics?.find((item) => item.id === column.id);
  if (found) return format.metric(found);
  const row = node.metadata?.find((item) => item.id === column.id);
  return row ? format.row(row) : '';
}

function sortKey(node: Summary, column: Column | undefined): number {
  return node.metrics?.find((item) => item.id === column?.id)?.value ?? 0;
}

function Children({ group }: { group: NonNullable<Details['children']>[number] }) {
  const by = group.columns.find((column) => column.defaultSort);
  const list = [...group.nodes].sort((a, b) => sortKey(b, by) - sortKey(a, by));
  const [shown, more] = useMore(list.length, ROWS, selected.value ?? '');
  return (
    <section>
      <h3>
        {group.label} <span class="count">{group.nodes.length + group.more}</span>
      </h3>
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            {group.columns.map((column) => (
              <th scope="col" key={column.id} class="number">
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {list.slice(0, shown).map((node) => (
            <tr key={node.id}>
              <td>
                <button type="button" class="link" title={node.labelMinor} onClick={() => show({ topology: group.topologyId, node: node.id })}>
                  {node.label}
                </button>
              </td>
              {group.columns.map((column) => (
                <td key={column.id} class="number">
                  {childCell(node, column)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more}
      {group.more > 0 && <p class="note">The busiest {group.nodes.length}; {group.more} more are not listed.</p>}
    </section>
  );
}

function Tables({ table }: { table: Table }) {
  const [shown, more] = useMore(table.rows.length, ROWS, selected.value ?? '');
  if (table.rows.length === 0) return null;
  return (
    <section>
      <h3>{table.label}</h3>
      <table class="plain">
        <thead>
          <tr>
            {table.columns.map((column) => (
              <th scope="col" key={column.id}>{column.label}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.slice(0, shown).map((row) => (
            <tr key={row.id}>
              {table.columns.map((column) => (
                <td key={column.id}>{row.entries[column.id]}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more}
    </section>
  );
}

/** Views whose nodes are one host, container or process each. */
const REACHING = new Set(['hosts', 'containers', 'processes']);

export function DetailsPanel() {
  const id = selected.value;
  if (!id) return null;
  // What the stream says is there at once; the rest follows.
  const live = nodes.value.get(id);
  const full = details.value?.id === id ? details.value : null;
  const node = live ?? full;
  return (
    <aside class="details" aria-label="Details">
      <header style={{ borderColor: node ? paint(node.rank, Boolean(node.pseudo), dark.value).ring : 'transparent' }}>
        <div>
          <h2>{node?.label ?? (missing.value ? 'Gone' : '…')}</h2>
          <p>{node?.labelMinor ?? ''}</p>
        </div>
        <button type="button" class="icon" aria-label="Close details" onClick={() => show({ node: null })}>
          ✕
        </button>
      </header>
      {node?.parents?.length ? (
        <nav aria-label="Parents" class="chips">
          {node.parents.map((parent) => (
            <button type="button" key={parent.id} class="chip" onClick={() => show({ topology: parent.topologyId, node: parent.id })}>
              {parent.label}
            </button>
          ))}
        </nav>
      ) : null}
      {node?.stale ? <p class="warning">Its host has not spoken for {format.duration(node.stale)}: this is how it was.</p> : null}
      {missing.value && !live && <p class="note">This node is no longer there, or is not in the {topology.value} view.</p>}
      {full && <Controls node={full} />}
      {node && <Metrics node={node} />}
      {full && REACHING.has(topology.value) && !full.pseudo && <ReachSection node={full} />}
      {full?.connections?.map((table) => <Connections key={table.id} table={table} />)}
      {full?.children?.map((group) => <Children key={group.id} group={group} />)}
      {node && <Info node={node} />}
      {full?.tables?.map((table) => <Tables key={table.id} table={table} />)}
    </aside>
  );
}
