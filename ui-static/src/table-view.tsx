// The same nodes as rows: sortable, keyboard-operable, for large views and for screen readers.
import { useEffect } from 'preact/hooks';
import type { Summary } from './api';
import { paint } from './color';
import { csvOf, save } from './export';
import * as format from './format';
import { useMore } from './more';
import { dark, exporter, matches, metrics, pinned, selected, show, sortBy, topology, upwards } from './state';

const ROWS = 1000;
const HIDDEN = new Set(['docker_container_id', 'docker_container_state', 'docker_container_command', 'cmdline', 'local_networks']);

interface Column {
  id: string;
  label: string;
  number: boolean;
  text: (node: Summary) => string;
  key: (node: Summary) => string | number;
}

const row = (node: Summary, id: string) => node.metadata?.find((item) => item.id === id);

function columns(list: Summary[]): Column[] {
  const found: Column[] = [
    { id: 'label', label: 'Name', number: false, text: (n) => n.label, key: (n) => n.label.toLowerCase() },
    { id: 'minor', label: 'Where', number: false, text: (n) => n.labelMinor, key: (n) => n.labelMinor },
  ];
  for (const item of metrics.value) {
    const of = (node: Summary) => node.metrics?.find((m) => m.id === item.id);
    found.push({
      id: item.id,
      label: item.label,
      number: true,
      text: (node) => {
        const m = of(node);
        return m ? format.metric(m) : '';
      },
      key: (node) => of(node)?.value ?? -1,
    });
  }
  const seen = new Map<string, string>();
  for (const node of list) for (const item of node.metadata ?? []) if (!HIDDEN.has(item.id)) seen.set(item.id, item.label);
  for (const [id, label] of [...seen].slice(0, 6)) {
    found.push({
      id,
      label,
      number: false,
      text: (node) => {
        const item = row(node, id);
        return item ? format.row(item) : '';
      },
      key: (node) => {
        const value = row(node, id)?.value ?? '';
        return value !== '' && !Number.isNaN(Number(value)) ? Number(value) : value;
      },
    });
  }
  found.push({
    id: 'links',
    label: 'Edges',
    number: true,
    text: (n) => String(n.adjacency?.length ?? 0),
    key: (n) => n.adjacency?.length ?? 0,
  });
  return found;
}

/** The rows that are shown, in order, with what their columns are. */
function table(): { list: Summary[]; all: Column[]; chosen: Column | undefined } {
  const list = [...pinned.value.values()].filter((node) => matches.value?.has(node.id) ?? true);
  const all = columns(list);
  const chosen = all.find((column) => column.id === sortBy.value) ?? all.find((column) => column.number) ?? all[0];
  const sign = upwards.value ? 1 : -1;
  list.sort((a, b) => {
    const x = chosen?.key(a) ?? '';
    const y = chosen?.key(b) ?? '';
    if (x === y) return a.id < b.id ? -1 : 1;
    return (x < y ? -1 : 1) * sign;
  });
  return { list, all, chosen };
}

function csv(): string {
  const { list, all } = table();
  return csvOf([all.map((column) => column.label), ...list.map((node) => all.map((column) => column.text(node)))]);
}

export function TableView() {
  const { list, all, chosen } = table();
  const [shown, more] = useMore(list.length, ROWS, topology.value);
  useEffect(() => {
    exporter.value = { label: 'Save as CSV', run: () => save(`weft-${topology.peek()}.csv`, 'text/csv', csv()) };
    return () => {
      exporter.value = null;
    };
  }, []);
  const sort = (column: Column): void => {
    upwards.value = chosen?.id === column.id ? !upwards.value : !column.number;
    sortBy.value = column.id;
  };
  return (
    <div class="table-view">
      <table>
        <thead>
          <tr>
            {all.map((column) => (
              <th
                scope="col"
                key={column.id}
                class={column.number ? 'number' : ''}
                aria-sort={chosen?.id === column.id ? (upwards.value ? 'ascending' : 'descending') : 'none'}
              >
                <button type="button" onClick={() => sort(column)}>
                  {column.label}
                  <span aria-hidden="true">{chosen?.id === column.id ? (upwards.value ? ' ↑' : ' ↓') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {list.slice(0, shown).map((node) => (
            <tr
              key={node.id}
              class={`${selected.value === node.id ? 'selected' : ''} ${node.stale ? 'stale' : ''}`}
              onClick={() => show({ node: node.id })}
            >
              {all.map((column, index) => (
                <td key={column.id} class={column.number ? 'number' : ''} title={column.text(node)}>
                  {index === 0 ? (
                    <button type="button" class="name">
                      <i style={{ background: paint(node.rank, Boolean(node.pseudo), dark.value).ring }} />
                      {column.text(node)}
                    </button>
                  ) : (
                    column.text(node)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more}
      {list.length === 0 && <p class="note">Nothing matches.</p>}
    </div>
  );
}
