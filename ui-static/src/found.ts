// How many nodes the search finds in each view: of the present one as it changes, of the others as they were when
// the search began.
import { computed, effect, signal } from '@preact/signals';
import { type Summary, type Topology, getNodes, topologyId } from './api';
import { search } from './search';
import { matches, mode, optionQuery, pinned, pins, query, topologies, topology } from './state';

/** Somebody who types is not answered at each letter. */
const PAUSE_MS = 400;
/** What a view has is asked for again when it is so old. */
const FRESH_MS = 15000;
/** A view of more is not fetched for its count alone. */
const NODES_MAX = 5000;

interface Fetched {
  query: string;
  at: number;
  nodes: Summary[];
}

const fetched = signal<ReadonlyMap<string, Fetched>>(new Map());
const searches = computed(() => [...pins.value, query.value].filter((text) => text.trim()));

/** By view; a view that is not there is not counted, or not yet. Nothing while nothing is searched for. */
export const foundIn = computed((): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  if (searches.value.length === 0) return counts;
  for (const [id, view] of fetched.value) counts.set(id, search(searches.value, view.nodes)?.size ?? 0);
  if (mode.value !== 'resources') counts.set(topology.value, matches.value?.size ?? pinned.value.size);
  return counts;
});

const every = (list: Topology[]): Topology[] => list.flatMap((item) => [item, ...every(item.sub_topologies ?? [])]);

async function fetchOthers(): Promise<void> {
  const options = optionQuery();
  for (const item of every(topologies.peek())) {
    const id = topologyId(item);
    const known = fetched.peek().get(id);
    const isFresh = known?.query === options && Date.now() - known.at < FRESH_MS;
    if (isFresh || id === topology.peek() || item.stats.node_count === 0 || item.stats.node_count > NODES_MAX) continue;
    try {
      const nodes = await getNodes(id, options);
      if (searches.peek().length === 0) return;
      fetched.value = new Map(fetched.peek()).set(id, { query: options, at: Date.now(), nodes });
    } catch {
      return; // The stream's state tells that the agent is away.
    }
  }
}

/** Counts from now on. */
export function startCounting(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    clearTimeout(timer);
    optionQuery(); // What is hidden is not found, and a change of options asks anew.
    if (searches.value.length === 0) {
      fetched.value = new Map();
      return;
    }
    timer = setTimeout(() => void fetchOthers(), PAUSE_MS);
  });
}
