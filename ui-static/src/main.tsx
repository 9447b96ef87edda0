// The page: header, the chosen view, details, status line.
import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import './style.css';
import type { Topology } from './api';
import { logOut, topologyId } from './api';
import { DetailsPanel } from './details-panel';
import * as format from './format';
import { GraphView } from './graph-view';
import {
  about,
  choose,
  connection,
  current,
  dark,
  helpOpen,
  matches,
  metric,
  metrics,
  mode,
  nodes,
  optionValue,
  paused,
  query,
  received,
  selected,
  session,
  show,
  start,
  toggleTheme,
  topologies,
  topology,
  visitor,
} from './state';
import { TableView } from './table-view';
import { TerminalPanel } from './terminal-panel';

const isShown = (item: Topology): boolean =>
  !item.hide_if_empty || item.stats.node_count > 0 || topologyId(item) === topology.value;

const isUnder = (item: Topology): boolean =>
  topologyId(item) === topology.value || (item.sub_topologies ?? []).some((sub) => topologyId(sub) === topology.value);

function Tab({ item, sub }: { item: Topology; sub?: boolean }) {
  const id = topologyId(item);
  const isOn = id === topology.value;
  return (
    <button
      type="button"
      class={`tab ${isOn ? 'on' : ''} ${sub ? 'sub' : ''}`}
      aria-current={isOn ? 'page' : undefined}
      data-topology={id}
      onClick={() => show({ topology: id, node: null })}
    >
      {item.name === 'Weave Net' ? 'overlay' : item.name}
      <span class="count">{item.stats.nonpseudo_node_count}</span>
    </button>
  );
}

function Tabs() {
  const shown = topologies.value.filter(isShown);
  const group = shown.find(isUnder);
  return (
    <nav class="tabs" aria-label="Views">
      {shown.map((item) => (
        <Tab key={item.url} item={item} />
      ))}
      {group?.sub_topologies?.length ? <span class="divider" aria-hidden="true" /> : null}
      {group?.sub_topologies?.map((item) => (
        <Tab key={item.url} item={item} sub />
      ))}
    </nav>
  );
}

function Search() {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === '/' && !(event.target instanceof HTMLInputElement) && !(event.target instanceof HTMLTextAreaElement)) {
        event.preventDefault();
        box.current?.focus();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <div class="search">
      <input
        ref={box}
        type="search"
        placeholder="Search   host:h2   cpu > 10%"
        aria-label="Search nodes"
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            query.value = '';
            event.currentTarget.blur();
          }
        }}
      />
      {matches.value ? <span class="found">{matches.value.size} found</span> : <kbd aria-hidden="true">/</kbd>}
    </div>
  );
}

const CONNECTION = { connecting: 'Connecting', live: 'Live', lost: 'Disconnected' };

function Header() {
  return (
    <header class="bar">
      <a class="brand" href="#/" aria-label="weft">
        <img src="./icon.svg" alt="" width="22" height="22" />
        weft
      </a>
      <Tabs />
      <span class="grow" />
      <Search />
      <div class="switch" role="group" aria-label="View mode">
        <button type="button" aria-pressed={mode.value === 'graph'} onClick={() => show({ mode: 'graph' })}>
          Graph
        </button>
        <button type="button" aria-pressed={mode.value === 'table'} onClick={() => show({ mode: 'table' })}>
          Table
        </button>
      </div>
      <button
        type="button"
        class={`live ${paused.value ? 'paused' : connection.value}`}
        aria-pressed={paused.value}
        title={paused.value ? 'Go on' : 'Pause'}
        onClick={() => {
          paused.value = !paused.value;
        }}
      >
        <i aria-hidden="true" />
        {paused.value ? 'Paused' : CONNECTION[connection.value]}
      </button>
      <button type="button" class="icon" aria-label={dark.value ? 'Light theme' : 'Dark theme'} onClick={toggleTheme}>
        {dark.value ? '☀' : '☾'}
      </button>
      {visitor.value?.login && (
        <button type="button" class="quiet" title={`${visitor.value.name}, ${visitor.value.role}`} onClick={() => void logOut()}>
          Log out
        </button>
      )}
      <button
        type="button"
        class="icon"
        aria-label="Help"
        onClick={() => {
          helpOpen.value = true;
        }}
      >
        ?
      </button>
    </header>
  );
}

function Empty() {
  if (nodes.value.size > 0) return null; // What was known stays when the agent is gone.
  if (connection.value === 'lost') {
    return (
      <div class="empty" role="status">
        <h2>No agent answers</h2>
        <p>The connection to the weft agent is lost; it is tried again every few seconds.</p>
      </div>
    );
  }
  if (!received.value) {
    return (
      <div class="empty" role="status">
        <div class="weave" aria-hidden="true" />
        <h2>Asking the hosts</h2>
        <p>Agents look only while somebody watches, so the first picture takes a second.</p>
      </div>
    );
  }
  const filtered = current.value?.stats.filtered_nodes ?? 0;
  return (
    <div class="empty" role="status">
      <h2>Nothing to show here</h2>
      <p>{filtered > 0 ? `The options below hide ${filtered} nodes.` : 'No host reports any of these.'}</p>
    </div>
  );
}

function Footer() {
  const item = current.value;
  const late = about.value?.hosts.filter((host) => host.stale > 0 || host.age === null) ?? [];
  return (
    <footer class="bottom">
      <span class="stats" role="status">
        {nodes.value.size} nodes, {[...nodes.value.values()].reduce((sum, node) => sum + (node.adjacency?.length ?? 0), 0)} edges
        {item && item.stats.filtered_nodes > 0 ? ` (${item.stats.filtered_nodes} filtered)` : ''}
      </span>
      {item?.options.map((group) => (
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
      {metrics.value.length > 0 && mode.value === 'graph' && (
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
      <span class="grow" />
      {late.map((host) => (
        <span class="late" key={host.id}>
          {host.name}: {host.age === null ? 'no data yet' : `${format.duration(host.age)} old`}
        </span>
      ))}
      <span class="about">
        {about.value ? `${about.value.hosts.length} hosts · from ${about.value.hostname} · ${about.value.version}` : ''}
      </span>
    </footer>
  );
}

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helpOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [helpOpen.value]);
  const close = (): void => {
    helpOpen.value = false;
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title">Keys and search</h2>
      <dl>
        <div><dt><kbd>/</kbd></dt><dd>search</dd></div>
        <div><dt><kbd>g</kbd> <kbd>t</kbd></dt><dd>graph, table</dd></div>
        <div><dt><kbd>&lt;</kbd> <kbd>&gt;</kbd> <kbd>q</kbd></dt><dd>previous, next, no metric on the nodes</dd></div>
        <div><dt><kbd>Shift</kbd> click</dt><dd>how the node with the details reaches that one</dd></div>
        <div><dt><kbd>Esc</kbd></dt><dd>close details</dd></div>
        <div><dt><code>web|db</code></dt><dd>text in any field, as a regular expression</dd></div>
        <div><dt><code>image:nginx</code></dt><dd>text in one field</dd></div>
        <div><dt><code>memory &gt; 50M</code></dt><dd>compare a metric: &lt; &gt; =, with k, m, g, t</dd></div>
      </dl>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}

function onKey(event: KeyboardEvent): void {
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey) return;
  const list = metrics.value.map((item) => item.id);
  const at = list.indexOf(metric.value);
  const actions: Record<string, () => void> = {
    g: () => show({ mode: 'graph' }),
    t: () => show({ mode: 'table' }),
    '?': () => (helpOpen.value = true),
    q: () => (metric.value = ''),
    '>': () => (metric.value = list[(at + 1) % list.length] ?? ''),
    '<': () => (metric.value = list[(at + list.length - (at < 0 ? 0 : 1)) % list.length] ?? ''),
    Escape: () => selected.value && show({ node: null }),
  };
  actions[event.key]?.();
}

function App() {
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <>
      <Header />
      <main>
        {mode.value === 'graph' ? <GraphView /> : <TableView />}
        <Empty />
        {connection.value === 'lost' && nodes.value.size > 0 && (
          <p class="banner" role="alert">
            Disconnected: this is how it was. Trying again…
          </p>
        )}
        <DetailsPanel />
        {session.value && <TerminalPanel key={session.value.pipe} session={session.value} />}
      </main>
      <Footer />
      <Help />
    </>
  );
}

start();
const root = document.getElementById('app');
if (root) render(<App />, root);
