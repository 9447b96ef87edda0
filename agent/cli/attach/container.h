// Which container a word on the command line means: where its network is, and what it is called.
//
//   pid:4711          a process
//   netns:NAME        a namespace of `ip netns`
//   /run/netns/NAME   any other network namespace, by its path
//   anything else     an id (or its beginning) or a name, asked of Docker, Podman and containerd
#pragma once

#include <string>

#include "agent/cli/options.h"
#include "base/result.h"

namespace weft::agent {

struct Container {
  std::string id;         // Of a namespace without a container: "netns:" and its identity.
  std::string netns;      // A path on the host. Empty: it does not run.
  std::string host_name;  // Of a namespace: empty.
  std::string domain_name;
  std::string name;  // Without a slash.
  // Where its first process has its root, a path on the host; empty unless its engine made it an
  // /etc/hosts of its own there.
  std::string root;

  bool is_running() const { return !netns.empty(); }
  // "web.example.org." where it has a domain, else its name, which is relative to weft's domain.
  std::string fqdn() const;
};

// The socket at which the agent of this host has its Docker engine.
std::string engine_socket(const Settings& settings);

// Errc::NotFound: nobody knows it. Errc::Unavailable: no container engine answers.
Result<Container> find_container(const Settings& settings, const std::string& word);

// The same, where a container is needed: Errc::NotFound if no engine answers, too.
Result<Container> require_container(const Settings& settings, const std::string& word);

}  // namespace weft::agent
