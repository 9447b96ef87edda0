#include "app/graph.h"

#include "app/picture/edge_book.h"

namespace weft::app {

Edges resolve_edges(const probe::Report& report) {
  EdgeBook book;
  for (const auto& [name, host] : report.hosts()) {
    book.update(host);
  }
  book.settle();
  return book.edges();
}

}  // namespace weft::app
