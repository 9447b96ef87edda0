// What tests make their edges of.
import type { Edge } from '../../../ui-static/src/api';

/** One that carries nothing. */
export const QUIET: Edge = {
  connections: 0,
  sent: 0,
  received: 0,
  retransmits: 0,
  rtt_us: 0,
  opened: 0,
  failed: 0,
  sent_total: 0,
  received_total: 0,
  packets_sent: 0,
  packets_received: 0,
  ports: [],
};
