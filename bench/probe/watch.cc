// Watches connections as the agent does, in whatever namespaces it is started: begins, or looks, at
// each line that it reads, and answers it (load.py accounted).
#include <iostream>
#include <memory>
#include <string>

#include "sys/bpf/connections.h"

int main() {
  const auto source = weft::sys::open_bpf_connections(weft::sys::DatagramOctets::No);
  for (std::string line; std::getline(std::cin, line);) {
    const auto started = source->start();
    if (!started.ok()) {
      std::cerr << started.error().what << "\n";
      return 1;
    }
    (void)source->take();
    std::cout << line << std::endl;
  }
  return 0;
}
