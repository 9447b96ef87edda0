// What hosts have and who uses it: hosts below, on each its containers, and on these their processes. It is moved and
// looked into sideways; every box can be reached by keyboard, as an item of a tree.
import { computed, signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { paint } from './color';
import * as format from './format';
import {
  type Box,
  type Extent,
  type Kind,
  type Way,
  bounded,
  build,
  closeTo,
  cpusOf,
  kindOf,
  neighbour,
  place,
  showing,
  zoomed,
} from './resource-layout';
import { dark, extent, isResourceful, layers, matches, metric, selected, show } from './state';

const LEVELS = ['Hosts', 'Containers', 'Processes'];
const NOTES: Record<Kind, Record<Extent, string>> = {
  memory: { all: 'A host is as wide as its memory.', used: 'A host is as wide as what is used of its memory.' },
  cpu: { all: 'A host is as wide as it has CPUs.', used: 'A host is as wide as what is used of its CPUs.' },
};
const LABEL_MIN = 34; // In pixels: narrower boxes have no room for a word.
const DRAG_MIN = 4; // In pixels: less is a click.

const camera = signal({ zoom: 1, left: 0 });
const width = signal(0);
const focused = signal('');

const kind = computed<Kind>(() => kindOf(metric.value));
const orders: Record<Kind, Map<string, number>> = { cpu: new Map(), memory: new Map() };
const hosts = computed(() => {
  const { hosts: below = new Map(), containers = new Map(), processes = new Map() } = layers.value;
  const all = { hosts: below.values(), containers: containers.values(), processes: processes.values() };
  return build(all, kind.value, orders[kind.value]);
});
const boxes = computed(() => place(hosts.value, width.value, camera.value.zoom, extent.value));

function amount(box: Box): string {
  if (kind.value === 'memory') return format.bytes(box.used);
  return format.metric({ format: 'percent', value: box.level === 0 ? box.used / cpusOf(box.host.node) : box.used });
}

function share(box: Box): string {
  const part = box.host.size > 0 ? `${((100 * box.used) / box.host.size).toFixed(1)} %` : '';
  return kind.value === 'memory'
    ? `${part} of ${format.bytes(box.host.size)}`
    : `${part} of ${cpusOf(box.host.node)} CPU${cpusOf(box.host.node) === 1 ? '' : 's'}`;
}

const nameOf = (box: Box): string => box.item?.node.label ?? `${box.count} small`;

const described = (box: Box): string =>
  `${nameOf(box)}${box.level > 0 ? ` on ${box.host.node.label}` : ''}: ${amount(box)}, ${share(box)}`;

function open(box: Box): void {
  focused.value = box.key;
  if (box.item) show({ topology: box.item.topology, node: box.item.id });
  else camera.value = closeTo(box, camera.value, width.value);
}

function zoom(factor: number): void {
  const { x: at, width: wide } = boxes.value.find((box) => box.key === focused.value) ?? { x: 0, width: 0 };
  const middle = at + wide / 2 - camera.value.left;
  const isSeen = wide > 0 && middle >= 0 && middle <= width.value;
  camera.value = factor === 0 ? { zoom: 1, left: 0 } : zoomed(camera.value, factor, isSeen ? middle : width.value / 2, width.value);
}

const WAYS: Record<string, Way> = {
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
  Home: 'first',
  End: 'last',
};
const FACTORS: Record<string, number> = { '+': 1.5, '=': 1.5, '-': 1 / 1.5, '0': 0 };

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = boxes.value.findIndex((box) => box.key === focused.value);
  const box = boxes.value[at];
  const way = WAYS[event.key];
  const factor = FACTORS[event.key];
  if (way) {
    const next = boxes.value[neighbour(boxes.value, at, way)];
    if (next) {
      focused.value = next.key;
      camera.value = showing(next, camera.value, width.value);
    }
  } else if (factor !== undefined) zoom(factor);
  else if ((event.key === 'Enter' || event.key === ' ') && box) open(box);
  else return;
  event.preventDefault();
}

function Tile({ box, isStop, hasFocus }: { box: Box; isStop: boolean; hasFocus: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (hasFocus) element.current?.focus({ preventScroll: true });
  }, [hasFocus]);
  const { ring, body } = paint(box.item?.node.rank ?? '', box.item?.node.pseudo ?? !box.item, dark.value);
  const found = matches.value;
  const isFaint = found !== null && !(box.item && found.has(box.item.id));
  const hidden = Math.max(0, camera.value.left - box.x); // What is left of the window; the words stay in it.
  const shown = Math.min(box.width - hidden, width.value);
  const classes = ['tile', `level-${box.level}`];
  if (box.item && selected.value === box.item.id) classes.push('selected');
  if (isFaint) classes.push('faint');
  if (box.item?.node.stale) classes.push('stale');
  return (
    <div
      ref={element}
      class={classes.join(' ')}
      role="treeitem"
      aria-level={box.level + 1}
      aria-label={described(box)}
      aria-selected={box.item !== undefined && selected.value === box.item.id}
      tabIndex={isStop ? 0 : -1}
      title={described(box)}
      data-key={box.key}
      style={{ left: `${box.x - camera.value.left}px`, width: `${box.width}px`, borderColor: ring, background: body }}
    >
      {box.level === 0 && <i class="fill" style={{ width: `${Math.min(100, (100 * box.used) / box.host.size)}%`, background: ring }} />}
      {shown >= LABEL_MIN && (
        <span style={{ marginLeft: `${hidden}px`, width: `${shown}px` }}>
          <b>{nameOf(box)}</b>
          <small>{box.level === 0 ? share(box) : amount(box)}</small>
        </span>
      )}
    </div>
  );
}

/** Moves and zooms with pointers in `box`; a pointer that was moved does not click. */
function listen(box: HTMLElement): () => void {
  let from: { x: number; left: number } | null = null;
  let isDragged = false;
  const onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      camera.value = bounded({ ...camera.value, left: camera.value.left + sideways }, width.value);
    } else {
      camera.value = zoomed(camera.value, 1.0015 ** -event.deltaY, event.clientX - box.getBoundingClientRect().left, width.value);
    }
  };
  const onDown = (event: PointerEvent): void => {
    if (event.button === 0) from = { x: event.clientX, left: camera.value.left };
    isDragged = false;
  };
  const onMove = (event: PointerEvent): void => {
    if (!from) return;
    const moved = event.clientX - from.x;
    if (!isDragged && Math.abs(moved) < DRAG_MIN) return;
    if (!isDragged) box.setPointerCapture(event.pointerId);
    isDragged = true;
    camera.value = bounded({ ...camera.value, left: from.left - moved }, width.value);
  };
  const onUp = (): void => {
    from = null;
  };
  const onClick = (event: MouseEvent): void => {
    const key = (event.target as HTMLElement).closest<HTMLElement>('[data-key]')?.dataset['key'];
    const hit = isDragged ? undefined : boxes.value.find((one) => one.key === key);
    isDragged = false;
    if (hit) open(hit);
  };
  const watch = new ResizeObserver(() => {
    width.value = box.clientWidth;
    camera.value = bounded(camera.value, box.clientWidth);
  });
  watch.observe(box);
  box.addEventListener('wheel', onWheel, { passive: false });
  box.addEventListener('pointerdown', onDown);
  box.addEventListener('pointermove', onMove);
  box.addEventListener('pointerup', onUp);
  box.addEventListener('pointercancel', onUp);
  box.addEventListener('click', onClick);
  return () => watch.disconnect();
}

function Zoom() {
  return (
    <div class="zoom" role="group" aria-label="Zoom">
      <button type="button" aria-label="Zoom in" onClick={() => zoom(1.5)}>
        +
      </button>
      <button type="button" aria-label="Zoom out" onClick={() => zoom(1 / 1.5)}>
        −
      </button>
      <button type="button" aria-label="Fit to screen" title="Fit to screen" onClick={() => zoom(0)}>
        ⤢
      </button>
    </div>
  );
}

export function ResourceView() {
  const box = useRef<HTMLDivElement>(null);
  const [isWithin, setWithin] = useState(false);
  useEffect(() => (box.current ? listen(box.current) : undefined), [isResourceful.value]);
  if (!isResourceful.value) return null;
  const { left } = camera.value;
  const shown = boxes.value.filter((one) => one.x < left + width.value && one.x + one.width > left);
  const stop = shown.find((one) => one.key === focused.value) ?? shown[0];
  return (
    <div class={selected.value ? 'resources beside' : 'resources'}>
      <p class="note">{NOTES[kind.value][extent.value]} What stands on it is as wide as what it uses.</p>
      <div class="levels" aria-hidden="true">
        {LEVELS.map((name) => (
          <span key={name}>{name}</span>
        ))}
      </div>
      <div
        ref={box}
        class="tiles"
        role="tree"
        aria-label={`${kind.value === 'memory' ? 'Memory' : 'CPU'} of hosts, containers and processes`}
        onKeyDown={onKey}
        onFocusIn={(event) => {
          setWithin(true);
          focused.value = (event.target as HTMLElement).dataset['key'] ?? focused.value;
        }}
        onFocusOut={() => setWithin(false)}
      >
        {shown.map((one) => (
          <Tile key={one.key} box={one} isStop={one === stop} hasFocus={isWithin && one.key === focused.value} />
        ))}
      </div>
      <Zoom />
    </div>
  );
}
