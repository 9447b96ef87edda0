#include "agent/cli/status_text.h"

#include <exception>
#include <map>

#include <boost/json/value_to.hpp>
#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

// Access that throws where the shape is wrong; status_text() makes one Error of it.
std::string_view text_at(const json::value& object, std::string_view key) {
  const json::string& text = object.at(key).as_string();
  return {text.data(), text.size()};
}

std::uint64_t number_at(const json::value& object, std::string_view key) {
  return object.at(key).to_number<std::uint64_t>();
}

double real_at(const json::value& object, std::string_view key) {
  return object.at(key).to_number<double>();
}

bool flag_at(const json::value& object, std::string_view key) {
  return object.at(key).as_bool();
}

// One line of the summary: labels end in column 15, as users of Weave know it.
std::string line(std::string_view label, std::string_view value) {
  return fmt::format("{:>15}: {}\n", label, value);
}

std::string peer_label(std::string_view name, std::string_view nickname) {
  return fmt::format("{}({})", name, nickname);
}

std::string peer_label(const json::value& peer, std::string_view name_key) {
  return peer_label(text_at(peer, name_key), text_at(peer, "nickname"));
}

// "3 (2 established, 1 retrying)": counters that are zero say nothing.
std::string connections_summary(const json::array& connections) {
  std::map<std::string_view, std::size_t> count_by_state;
  for (const json::value& connection : connections) {
    ++count_by_state[text_at(connection, "state")];
  }
  std::string counts;
  for (const std::string_view state :
       {"established", "pending", "retrying", "failed", "connecting"}) {
    if (const auto found = count_by_state.find(state); found != count_by_state.end()) {
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", found->second, state);
    }
  }
  return counts.empty() ? fmt::format("{}", connections.size())
                        : fmt::format("{} ({})", connections.size(), counts);
}

std::string peers_summary(const json::array& peers) {
  std::size_t link_count = 0;
  std::size_t unreachable_count = 0;
  for (const json::value& peer : peers) {
    link_count += peer.at("neighbours").as_array().size();
    unreachable_count += flag_at(peer, "reachable") ? 0U : 1U;
  }
  std::string details;
  if (link_count > 0) {
    details = fmt::format("with {} established connections", link_count);
  }
  if (unreachable_count > 0) {
    details += fmt::format("{}{} unreachable", details.empty() ? "" : ", ", unreachable_count);
  }
  return details.empty() ? fmt::format("{}", peers.size())
                         : fmt::format("{} ({})", peers.size(), details);
}

std::string router_summary(const json::value& router) {
  std::string text = line("Service", "router");
  text += line("Name", peer_label(router, "name"));
  text +=
      line("Encryption",
           fmt::format("control: {}; data: {}",
                       flag_at(router, "authenticated") ? "enabled"
                                                        : "enabled, unauthenticated (no password)",
                       flag_at(router, "data_encrypted") ? "enabled" : "disabled"));
  text += line("PeerDiscovery", flag_at(router, "discovery") ? "enabled" : "disabled");
  text += line("Targets", fmt::format("{}", router.at("targets").as_array().size()));
  text += line("Connections", connections_summary(router.at("connections").as_array()));
  text += line("Peers", peers_summary(router.at("peers").as_array()));
  for (const json::value& warning : router.at("warnings").as_array()) {
    text += line("Warning", std::string_view(warning.as_string()));
  }
  return text;
}

std::string esp_line(const json::value& encryption) {
  const json::value& esp = encryption.at("esp");
  const std::string_view failure = text_at(esp, "failure");
  return line("ESP",
              fmt::format("{} ({})",
                          flag_at(esp, "offered") ? "offered to peers" : "not offered",
                          failure.empty() ? text_at(esp, "why") : failure));
}

// One line per peer: how its frames travel, and why.
std::string encryption_summary(const json::value& encryption) {
  std::string text = line("Service", "encryption");
  text += line("Port", fmt::format("{}", number_at(encryption, "port")));
  for (const json::value& cipher : encryption.at("ciphers").as_array()) {
    text += line("Cipher", std::string_view(cipher.as_string()));
  }
  text += esp_line(encryption);
  for (const json::value& peer : encryption.at("peers").as_array()) {
    const std::string_view cipher = text_at(peer, "cipher");
    text += line("Peer",
                 fmt::format("{} {} {}{}{}{}{} ({})",
                             peer_label(peer, "name"),
                             text_at(peer, "path"),
                             text_at(peer, "state"),
                             cipher.empty() ? "" : ", ",
                             cipher,
                             flag_at(peer, "esp") ? ", ESP agreed" : "",
                             flag_at(peer, "lane") ? ", small frames in the kernel" : "",
                             text_at(peer, "reason")));
  }
  return text;
}

std::string datapath_summary(const json::value& datapath) {
  std::string devices;
  for (const json::value& device : datapath.at("devices").as_array()) {
    devices += devices.empty() ? "" : ", ";
    devices += std::string_view(device.as_string());
  }
  const std::string_view reason = text_at(datapath, "reason");
  std::string text = line("Service", "datapath");
  text += line("Mode",
               reason.empty() ? std::string(text_at(datapath, "mode"))
                              : fmt::format("{} ({})", text_at(datapath, "mode"), reason));
  text += line("Bridge", text_at(datapath, "bridge"));
  text += line("Mtu", fmt::format("{}", number_at(datapath, "mtu")));
  text += line("Underlay",
               fmt::format("VXLAN port {}{}{}",
                           number_at(datapath, "port"),
                           devices.empty() ? "" : " on ",
                           devices));
  text += line("Endpoints",
               fmt::format("{} local, {} remote",
                           number_at(datapath, "endpoints_local"),
                           number_at(datapath, "endpoints_remote")));
  for (const json::value& offload : datapath.at("checksum_offload").as_array()) {
    if (text_at(offload, "verdict") == "turned off") {
      text += line("Checksums",
                   fmt::format("by the kernel on {}: the device computes them wrong inside VXLAN",
                               text_at(offload, "device")));
    } else if (text_at(offload, "verdict") == "wrong elsewhere") {
      text += line("Checksums",
                   fmt::format("wrong inside VXLAN sent on {}, and not by its doing",
                               text_at(offload, "device")));
    }
  }
  for (const json::value& warning : datapath.at("warnings").as_array()) {
    text += line("Warning", std::string_view(warning.as_string()));
  }
  return text;
}

std::string range_summary(const json::value& ipam, std::string_view service) {
  const std::string_view detail = text_at(ipam, "detail");
  std::string state(text_at(ipam, "state"));
  if (!detail.empty()) {
    state += fmt::format(" ({})", detail);
  }
  const std::string_view conflict = text_at(ipam, "conflict");
  std::string text = line("Service", service);
  text += line("Status", state);
  text += conflict.empty() ? "" : line("Conflict", conflict);
  text += line("Range", text_at(ipam, "range"));
  text += line("DefaultSubnet", text_at(ipam, "default_subnet"));
  return text;
}

std::string ipam_summary(const json::value& ipam) {
  const json::value& v6 = ipam.at("ipv6");
  const std::string text = range_summary(ipam, "ipam");
  return v6.is_null() ? text : text + "\n" + range_summary(v6, "ipam-v6");
}

std::string dns_summary(const json::value& dns) {
  std::string upstream;
  for (const json::value& server : dns.at("upstream").as_array()) {
    // Without the port, which is always the same.
    const std::string_view address(server.as_string());
    upstream += upstream.empty() ? "" : ", ";
    upstream += address.substr(0, address.rfind(':'));
  }
  const std::string_view reason = text_at(dns, "reason");
  std::string text = line("Service", "dns");
  text += line("Domain", text_at(dns, "domain"));
  text += reason.empty() ? line("Address", text_at(dns, "address"))
                         : line("Address", fmt::format("none ({})", reason));
  text += line("Upstream", upstream.empty() ? "none" : upstream);
  text += line("TTL", fmt::format("{}", number_at(dns, "ttl")));
  text += line("Entries", fmt::format("{}", number_at(dns, "entries")));
  return text;
}

std::string docker_summary(const json::value& docker) {
  std::string text = line("Service", "plugin");
  text += line("DriverName", "weft");
  text += line("Networks", fmt::format("{}", number_at(docker, "networks")));
  text += line("Ports", fmt::format("{}", number_at(docker, "ports")));
  return text;
}

std::string summary_text(const json::value& status) {
  std::string text = "\n" + line("Version", text_at(status, "version"));
  text += "\n" + router_summary(status.at("router"));
  text += "\n" + datapath_summary(status.at("datapath"));
  if (const json::value* encryption = status.as_object().if_contains("encryption")) {
    text += "\n" + encryption_summary(*encryption);
  }
  if (text_at(status.at("ipam"), "state") != "off") {
    text += "\n" + ipam_summary(status.at("ipam"));
  }
  if (const json::value* dns = status.as_object().if_contains("dns")) {
    text += "\n" + dns_summary(*dns);
  }
  if (const json::value* docker = status.as_object().if_contains("docker")) {
    text += "\n" + docker_summary(*docker);
  }
  return text + "\n";
}

std::string peers_text(const json::value& peers) {
  std::string text;
  for (const json::value& peer : peers.as_array()) {
    text += peer_label(peer, "name");
    if (!flag_at(peer, "reachable")) {
      text += " - unreachable!";
    }
    if (const std::string_view reason = text_at(peer, "reason"); !reason.empty()) {
      text += fmt::format(" ({})", reason);
    }
    text += '\n';
    for (const json::value& neighbour : peer.at("neighbours").as_array()) {
      text += fmt::format("   <-> {}\n", peer_label(neighbour, "name"));
    }
  }
  return text;
}

// "rtt 0.42 ms, jitter 0.03 ms, loss 0.0 %"; nothing before it has been measured.
std::string quality_text(const json::value& connection) {
  if (connection.at("rtt_us").is_null()) {
    return "";
  }
  return fmt::format(" rtt {:.2f} ms, jitter {:.2f} ms, loss {:.1f} %",
                     connection.at("rtt_us").to_number<double>() / 1000,
                     connection.at("jitter_us").to_number<double>() / 1000,
                     connection.at("loss_percent").to_number<double>());
}

// What waits for the other end; nothing on a connection that keeps up.
std::string queue_text(const json::value& connection) {
  const json::value& queue = connection.at("queue");
  const auto waiting = queue.at("waiting").to_number<std::uint64_t>();
  const auto unsent = queue.at("unsent_bytes").to_number<std::uint64_t>();
  const auto merged = queue.at("merged").to_number<std::uint64_t>();
  if (waiting == 0 && unsent == 0) {
    return "";
  }
  return fmt::format(" queue: {} bytes, news of {} peers, {} merged", unsent, waiting, merged);
}

std::string connections_text(const json::value& connections) {
  std::string text;
  for (const json::value& connection : connections.as_array()) {
    const std::string_view reason = text_at(connection, "reason");
    std::string info(reason);
    if (connection.at("peer").is_string()) {
      info = fmt::format("{} {}",
                         flag_at(connection, "authenticated") ? "encrypted" : "unauthenticated",
                         peer_label(connection, "peer"));
      info += flag_at(connection, "old_password") ? " (by the old password)" : "";
      info += quality_text(connection);
      info += queue_text(connection);
      info += reason.empty() ? "" : fmt::format(" {}", reason);
    }
    text += fmt::format("{} {:<21} {:<11} {}",
                        flag_at(connection, "outbound") ? "->" : "<-",
                        text_at(connection, "address"),
                        text_at(connection, "state"),
                        info);
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

// "12 s ago", in the unit that fits.
std::string age_text(std::uint64_t milliseconds) {
  constexpr std::uint64_t kSecond = 1000;
  constexpr std::uint64_t kMinute = 60 * kSecond;
  constexpr std::uint64_t kHour = 60 * kMinute;
  if (milliseconds < 2 * kMinute) {
    return fmt::format("{:.1f} s ago", static_cast<double>(milliseconds) / kSecond);
  }
  return milliseconds < 2 * kHour ? fmt::format("{} min ago", milliseconds / kMinute)
                                  : fmt::format("{} h ago", milliseconds / kHour);
}

// A line per peer: how its frames travel; below it how that came about, the latest first.
std::string paths_text(const json::value& paths) {
  std::string text;
  for (const json::value& path : paths.as_array()) {
    text += fmt::format("{} {}{}{}",
                        peer_label(path, "name"),
                        text_at(path, "path"),
                        flag_at(path, "encrypted") ? ", encrypted" : "",
                        flag_at(path, "lost")         ? " - nothing answers!"
                        : !flag_at(path, "reachable") ? " - unreachable!"
                                                      : "");
    if (!path.at("rtt_us").is_null()) {
      text += fmt::format(", rtt {:.2f} ms", path.at("rtt_us").to_number<double>() / 1000);
    }
    if (path.as_object().contains("bytes_out")) {
      text += fmt::format(
          ", {} bytes out, {} bytes in", number_at(path, "bytes_out"), number_at(path, "bytes_in"));
    }
    text += fmt::format(
        ", mtu {}, switched {} times\n", number_at(path, "mtu"), number_at(path, "switches"));
    const json::array& history = path.at("history").as_array();
    for (auto event = history.rbegin(); event != history.rend(); ++event) {
      text += fmt::format("   {}: {} ({})\n",
                          age_text(number_at(*event, "age_ms")),
                          text_at(*event, "path"),
                          text_at(*event, "reason"));
    }
  }
  return text;
}

std::string ranges_text(const json::value& ipam) {
  // Counts of IPv4 in full, larger ones with three digits.
  constexpr double kExactMax = 1e10;
  const double total = real_at(ipam, "range_addresses");
  std::string text;
  if (text_at(ipam, "state") == "off") {
    return text;
  }
  for (const json::value& range : ipam.at("ranges").as_array()) {
    const double count = real_at(range, "addresses");
    text += fmt::format("{:<37} {:>8.{}g} IPs ({:04.1f}% of total)",
                        peer_label(range, "owner"),
                        count,
                        count < kExactMax ? 16 : 3,
                        100.0 * count / total);
    // Ourselves first; only we know how many of our addresses are in use.
    if (&range == &ipam.at("ranges").as_array().front()) {
      text += fmt::format(" ({} active)", number_at(range, "used"));
    } else if (!flag_at(range, "reachable")) {
      text += " - unreachable!";
    }
    text += '\n';
  }
  return text;
}

std::string ipam_text(const json::value& ipam) {
  const json::value& v6 = ipam.at("ipv6");
  const std::string text = ranges_text(ipam);
  return v6.is_null() ? text : text + "\n" + line("Range", text_at(v6, "range")) + ranges_text(v6);
}

std::string targets_text(const json::value& targets) {
  std::string text;
  for (const json::value& target : targets.as_array()) {
    text += std::string_view(target.as_string());
    text += '\n';
  }
  return text;
}

// Name without the domain, address, the owner's first 12 characters, origin.
std::string dns_text(const json::value& dns) {
  if (dns.is_null()) {
    return "";
  }
  const std::string domain = fmt::format(".{}", text_at(dns, "domain"));
  std::string text;
  for (const json::value& name : dns.at("names").as_array()) {
    std::string_view host = text_at(name, "Hostname");
    if (host.ends_with(domain)) {
      host.remove_suffix(domain.size());
    }
    text += fmt::format("{:<12} {:<15} {:>12} {}{}\n",
                        host,
                        text_at(name, "Address"),
                        text_at(name, "ContainerID").substr(0, 12),
                        text_at(name, "Origin"),
                        flag_at(name, "Suspended") ? " - unreachable!" : "");
  }
  return text;
}

std::string text_of(const json::value& status, StatusPart part) {
  switch (part) {
    case StatusPart::Summary:
      return summary_text(status);
    case StatusPart::Peers:
      return peers_text(status);
    case StatusPart::Connections:
      return connections_text(status);
    case StatusPart::Ipam:
      return ipam_text(status);
    case StatusPart::Targets:
      return targets_text(status);
    case StatusPart::Dns:
      return dns_text(status);
    case StatusPart::Paths:
      return paths_text(status);
  }
  return "";
}

template <class Text>
Result<std::string> unless_unknown(Text text) {
  try {
    return std::string(text());
  } catch (const std::exception& error) {
    return Error{Errc::Conflict, fmt::format("status of an unknown shape: {}", error.what())};
  }
}

}  // namespace

Result<std::string> status_text(const json::value& status, StatusPart part) {
  return unless_unknown([&] { return text_of(status, part); });
}

Result<std::string> sealing_text(const json::value& status) {
  return unless_unknown([&] {
    const json::value* const encryption = status.as_object().if_contains("encryption");
    return encryption == nullptr ? std::string() : esp_line(*encryption);
  });
}

}  // namespace weft::agent
