// Follows one topology over a WebSocket, for as long as it is wanted: what is lost is opened again.
import { type Delta, type Summary, openStream } from './api';

export type Connection = 'connecting' | 'live' | 'lost';

export interface Follower {
  onDelta(delta: Delta): void;
  onConnection(connection: Connection): void;
}

export type Nodes = ReadonlyMap<string, Summary>;

const RETRY_MS = [500, 1000, 2000, 5000];

/** Calls `follower` until the returned function is called. */
export function follow(topology: string, query: string, follower: Follower): () => void {
  let socket: WebSocket | null = null;
  let attempts = 0;
  let wasLive = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const connect = (): void => {
    const mine = openStream(topology, query);
    socket = mine;
    mine.onmessage = (event: MessageEvent<string>) => {
      if (socket !== mine) return;
      attempts = 0;
      wasLive = true;
      follower.onConnection('live');
      follower.onDelta(JSON.parse(event.data) as Delta);
    };
    mine.onclose = () => {
      if (socket !== mine) return;
      follower.onConnection(attempts === 0 && !wasLive ? 'connecting' : 'lost');
      retry = setTimeout(connect, RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]);
      attempts += 1;
    };
  };
  connect();
  return () => {
    clearTimeout(retry);
    const last = socket;
    socket = null;
    last?.close();
  };
}

export const isNews = (delta: Delta): boolean => Boolean(delta.reset || delta.add || delta.update || delta.remove);

/** What is known after `delta`. */
export function applied(known: Nodes, delta: Delta): Nodes {
  const next = delta.reset ? new Map<string, Summary>() : new Map(known);
  for (const node of [...(delta.add ?? []), ...(delta.update ?? [])]) next.set(node.id, node);
  for (const id of delta.remove ?? []) next.delete(id);
  return next;
}
