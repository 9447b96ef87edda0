#include "sys/link/link_counters.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace weft::sys {
namespace {

// Columns of a line behind the name: eight of what was received, then bytes and packets sent.
constexpr int kBeforePacketsSent = 9;

}  // namespace

std::uint64_t packets_sent(const std::vector<std::string>& links) {
  std::uint64_t total = 0;
  std::ifstream file("/proc/thread-self/net/dev");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) {
      continue;  // The two lines of headings.
    }
    const std::size_t start = line.find_first_not_of(' ');
    const std::string name = line.substr(start, colon - start);
    if (std::find(links.begin(), links.end(), name) == links.end()) {
      continue;
    }
    std::istringstream numbers(line.substr(colon + 1));
    std::uint64_t number = 0;
    for (int i = 0; i < kBeforePacketsSent; ++i) {
      numbers >> number;
    }
    if (numbers >> number) {
      total += number;
    }
  }
  return total;
}

}  // namespace weft::sys
