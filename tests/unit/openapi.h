// What an OpenAPI document of docs/ lists, and what a table of routes does, to be compared.
#pragma once

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <string>

namespace weft {

// "path method" of each call, by the document's indentation.
inline std::set<std::string> documented_calls(const std::string& document) {
  std::ifstream file(document);
  std::set<std::string> calls;
  std::string path;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("  /")) {
      path = line.substr(2, line.find_last_of(':') - 2);
    }
    for (const char* method : {"get", "post", "put", "delete"}) {
      if (line == std::string("    ") + method + ":") {
        calls.insert(path + " " + method);
      }
    }
  }
  return calls;
}

// The same of a table whose rows have a method and a path.
template <class Routes>
std::set<std::string> served_calls(const Routes& routes) {
  std::set<std::string> calls;
  for (const auto& route : routes) {
    std::string method(route.method);
    std::transform(method.begin(), method.end(), method.begin(), [](char c) {
      return static_cast<char>(std::tolower(c));
    });
    calls.insert(std::string(route.path) + " " + method);
  }
  return calls;
}

}  // namespace weft
