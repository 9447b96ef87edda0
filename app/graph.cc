#include "app/graph.h"

#include <algorithm>

#include "app/picture/edge_book.h"

namespace weft::app {

EdgeFacts& EdgeFacts::operator+=(const EdgeFacts& other) {
  count += other.count;
  sent_per_second += other.sent_per_second;
  received_per_second += other.received_per_second;
  retransmits += other.retransmits;
  rtt_us = std::max(rtt_us, other.rtt_us);
  opened += other.opened;
  failed += other.failed;
  sent += other.sent;
  received += other.received;
  packets_sent += other.packets_sent;
  packets_received += other.packets_received;
  return *this;
}

Edges resolve_edges(const probe::Report& report) {
  EdgeBook book;
  for (const auto& [name, host] : report.hosts()) {
    book.update(host);
  }
  book.settle();
  return book.edges();
}

}  // namespace weft::app
