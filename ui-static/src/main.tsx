// The page: header, the chosen view, details, status line.
import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import './style.css';
import type { Topology } from './api';
import { logOut, topologyId } from './api';
import { DetailsPanel } from './details-panel';
import { Footer } from './footer';
import { foundIn, startCounting } from './found';
import * as format from './format';
import { GraphView } from './graph-view';
import { isOwnWindow, sessionHere } from './own-window';
import { ResourceView } from './resource-view';
import {
  type Mode,
  connection,
  contrast,
  current,
  dark,
  helpOpen,
  isResourceful,
  layers,
  loading,
  matches,
  metric,
  metrics,
  mode,
  nodes,
  paused,
  pinQuery,
  pinned,
  pins,
  query,
  received,
  selected,
  session,
  show,
  start,
  startLook,
  togglePause,
  toggleContrast,
  toggleTheme,
  topologies,
  topology,
  unpin,
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
  const found = foundIn.value.get(id);
  return (
    <button
      type="button"
      class={`tab ${isOn ? 'on' : ''} ${sub ? 'sub' : ''} ${found === 0 ? 'without' : ''}`}
      aria-current={isOn ? 'page' : undefined}
      data-topology={id}
      onClick={() => show({ topology: id, node: null })}
    >
      {item.name === 'Weave Net' ? 'overlay' : item.name}
      <span class="count">
        {found === undefined ? item.stats.nonpseudo_node_count : <b title={`${found} of ${item.stats.node_count} match`}>{found}</b>}
      </span>
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
          if (event.key === 'Enter') pinQuery();
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

function Pins() {
  if (pins.value.length === 0) return null;
  return (
    <div class="pins" role="group" aria-label="Only what matches">
      Only
      {pins.value.map((pin) => (
        <button type="button" key={pin} class="chip" aria-label={`No longer only ${pin}`} title="No longer" onClick={() => unpin(pin)}>
          {pin}
        </button>
      ))}
    </div>
  );
}

const MODES: [Mode, string][] = [
  ['graph', 'Graph'],
  ['table', 'Table'],
  ['resources', 'Resources'],
];

function ModeSwitch() {
  return (
    <div class="switch" role="group" aria-label="View mode">
      {MODES.map(([id, name]) => {
        const isThere = id !== 'resources' || isResourceful.value;
        return (
          <button
            type="button"
            key={id}
            aria-pressed={mode.value === id}
            disabled={!isThere}
            title={isThere ? undefined : 'Hosts, containers and processes have resources'}
            onClick={() => show({ mode: id })}
          >
            {name}
          </button>
        );
      })}
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
      <ModeSwitch />
      <button
        type="button"
        class={`live ${paused.value ? 'paused' : connection.value}`}
        aria-pressed={paused.value !== null}
        title={paused.value ? 'Go on' : 'Pause'}
        onClick={togglePause}
      >
        <i aria-hidden="true" />
        {paused.value ? `Paused ${paused.value.toTimeString().slice(0, 8)}` : CONNECTION[connection.value]}
      </button>
      <div class="tools">
        <button type="button" class="icon" aria-label={dark.value ? 'Light theme' : 'Dark theme'} onClick={toggleTheme}>
          {dark.value ? '☀' : '☾'}
        </button>
        <button type="button" class="icon" aria-label="High contrast" aria-pressed={contrast.value} onClick={toggleContrast}>
          ◐
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
      </div>
    </header>
  );
}

function NoResources() {
  return (
    <div class="empty" role="status">
      <h2>No resources here</h2>
      <p>This view is of hosts, containers and processes: choose one of them above, or look at these as a graph or a table.</p>
    </div>
  );
}

function Empty() {
  const isResources = mode.value === 'resources';
  if (isResources && !isResourceful.value) return <NoResources />;
  const isReceived = isResources ? layers.value.hosts !== undefined : received.value;
  const shown = isResources ? (layers.value.hosts?.size ?? 0) : pinned.value.size;
  if (shown > 0) return null; // What was known stays when the agent is gone.
  if (topologies.value.length > 0 && !current.value) {
    return (
      <div class="empty" role="status">
        <h2>No such view</h2>
        <p>This agent has no “{topology.value}”: choose one of those above.</p>
      </div>
    );
  }
  if (connection.value === 'lost') {
    return (
      <div class="empty" role="status">
        <h2>No agent answers</h2>
        <p>The connection to the weft agent is lost; it is tried again every few seconds.</p>
      </div>
    );
  }
  if (!isReceived) {
    return (
      <div class="empty" role="status">
        <div class="weave" aria-hidden="true" />
        <h2>Asking the hosts</h2>
        <p>Agents look only while somebody watches, so the first picture takes a second.</p>
      </div>
    );
  }
  if (!isResources && nodes.value.size > 0) {
    if (mode.value === 'table') return null; // The table says so itself.
    return (
      <div class="empty" role="status">
        <h2>Nothing matches</h2>
        <p>None of {nodes.value.size} nodes matches all that is asked for above.</p>
      </div>
    );
  }
  if (!isResources && loading.value) {
    return (
      <div class="empty" role="status">
        <div class="weave" aria-hidden="true" />
        <h2>{format.loading(loading.value)}</h2>
        <p>What is found is shown here.</p>
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
        <div><dt><kbd>g</kbd> <kbd>t</kbd> <kbd>r</kbd></dt><dd>graph, table, resources</dd></div>
        <div><dt>arrows, <kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd></dt><dd>in the resources: go from box to box, zoom</dd></div>
        <div><dt><kbd>&lt;</kbd> <kbd>&gt;</kbd> <kbd>q</kbd></dt><dd>previous, next, no metric on the nodes</dd></div>
        <div><dt><kbd>Shift</kbd> click</dt><dd>how the node with the details reaches that one</dd></div>
        <div><dt><kbd>Esc</kbd></dt><dd>close details</dd></div>
        <div><dt><kbd>Enter</kbd></dt><dd>in the search: show only what matches; several of these must all match</dd></div>
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
    r: () => isResourceful.value && show({ mode: 'resources' }),
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
      <Pins />
      <main>
        {mode.value === 'graph' ? <GraphView /> : mode.value === 'table' ? <TableView /> : <ResourceView />}
        <Empty />
        {connection.value === 'lost' && nodes.value.size > 0 && (
          <p class="banner" role="alert">
            Disconnected: this is how it was. Trying again…
          </p>
        )}
        {connection.value === 'live' && loading.value && pinned.value.size > 0 && (
          <p class="banner progress" role="status">
            {format.loading(loading.value)}
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

/** A window of a terminal alone. */
function TerminalWindow() {
  const shown = session.value;
  return (
    <main class="alone">
      {shown ? <TerminalPanel key={shown.pipe} session={shown} /> : <p class="note">This terminal is closed.</p>}
    </main>
  );
}

const root = document.getElementById('app');
startLook();
if (isOwnWindow) {
  session.value = sessionHere();
  document.title = `${session.value?.title ?? 'Terminal'} – weft`;
  if (root) render(<TerminalWindow />, root);
} else {
  start();
  startCounting();
  if (root) render(<App />, root);
}
