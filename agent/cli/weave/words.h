// Weave's command line in the words of weft: what `weave launch` and the WEAVE_* variables say, as
// `weft launch` takes it. Pure.
//
// Flags of things weft has not, or does by itself, are taken and left out: scripts that give them
// keep working. What would change what a cluster does and cannot be had is an Error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/cli/options.h"
#include "base/result.h"

namespace weft::agent {

struct WeaveLaunch {
  std::vector<std::string> words;       // Of `weft launch`; Weave's defaults come first.
  std::optional<std::string> password;  // To be put into a file.
};

// `words` are those behind "launch".
Result<WeaveLaunch> translate_launch(std::span<const std::string> words,
                                     const Environment& environment);

// Where Docker looks for Weave's plugins: "weavemesh" for networks of one engine, "weave" for those
// of a swarm. `host_root` as for --host-root.
struct WeaveSockets {
  std::string plugin;
  std::string swarm;
  std::string proxy;  // And where clients looked for its proxy of Docker's API.
};
WeaveSockets weave_sockets(const std::string& host_root);

// "::1" and "::1:2" are peer names with leading zeros; everything else is as it is.
std::string expand_peer_name(const std::string& text);

// "tcp://0.0.0.0:12375" as a client writes it: `proxy_host`, else the host of DOCKER_HOST, else
// 127.0.0.1, in place of all addresses. Others are as they are.
std::string reachable_address(const std::string& place,
                              const std::string& proxy_host,
                              const std::string& docker_host);

// What weft's exit codes are in Weave's script.
int weave_exit_code(int code);

}  // namespace weft::agent
