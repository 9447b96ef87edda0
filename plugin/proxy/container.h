// What the proxy makes of containers: which of them get addresses of weft's, what is added to the
// request that creates one, and what an engine says later of one that was made so. Pure.
//
// A container made through the proxy begins with a program of weft's, mounted at /w, that waits for
// the interface and then becomes what was to be run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"

namespace weft::plugin::proxy {

struct Options {
  std::string wait_folder;         // On the engine's host: what is mounted at /w.
  bool default_allocation = true;  // Containers that say nothing get an address, too.
  bool multicast_route = true;
  std::string dns_server{};  // Empty: containers keep the engine's DNS.
  std::string dns_domain{};
  // What containers are called where they do not say: by that label; else by their names, of which
  // what matches is replaced.
  std::string hostname_label{};
  std::string hostname_match = "(.*)";
  std::string hostname_replacement = "$1";
};

// POST /containers/create.
class CreateRequest {
 public:
  // Nothing: weft has no part in it, or it makes no sense, which the engine shall say.
  static std::optional<CreateRequest> parse(std::string_view body, const Options& options);

  // The image whose entry point has to be known for rewrite(), if any has.
  std::optional<std::string> image() const;
  // The body for the engine. `image` is what GET /images/NAME/json said, if it was asked for.
  // Errc::Invalid if that makes no sense; nothing if there is nothing to be run.
  Result<std::optional<std::string>> rewrite(std::string_view name,
                                             std::string_view image,
                                             const Options& options);

 private:
  explicit CreateRequest(boost::json::object body) : body_(std::move(body)) {}

  Result<bool> set_entrypoint(std::string_view image, const Options& options);
  void add_mount(const Options& options);
  void add_dns(const Options& options);
  void set_hostname(std::string_view name, const Options& options);
  bool has_domain();  // The container's host name.
  boost::json::object& host_config();

  boost::json::object body_;
};

// A container that begins with weft's program.
struct Proxied {
  bool is_running = false;
  std::uint32_t pid = 0;  // Of its first process, on the engine's host; 0 if there is none.
  std::vector<std::string> addresses;  // As WEAVE_CIDR has them; none: of the default subnet.

  friend bool operator==(const Proxied&, const Proxied&) = default;
};

// What GET /containers/ID/json says. Nothing if it is not made through the proxy.
std::optional<Proxied> parse_proxied(std::string_view body);

// Whether a process with this command line (as /proc has it) is weft's program, and what was to be
// run has not begun.
bool is_waiting(std::string_view command_line);

}  // namespace weft::plugin::proxy
