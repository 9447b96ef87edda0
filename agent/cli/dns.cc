#include "agent/cli/dns.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/attach/container.h"
#include "agent/cli/client.h"
#include "agent/http/agent_call.h"
#include "dns/io/convert.h"
#include "dns/message.h"
#include "dns/names.h"
#include "sys/netdev.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

// The agent and dockerd answer from memory; longer means that one of them hangs.
constexpr int kCallTimeoutSeconds = 5;
// All servers upstream may have been tried by then.
constexpr std::chrono::seconds kLookupTimeout{15};

std::string without_line_end(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

Result<std::string> call(const Settings& settings,
                         const std::string& method,
                         const std::string& target) {
  auto body = WEFT_TRY(ask_agent(settings, method, target, kCallTimeoutSeconds));
  return without_line_end(std::move(body));
}

// What the arguments of dns-add and dns-remove name.
struct Subject {
  std::string owner = dns::kExternOwner;
  bool is_container = false;
  std::vector<Ip> addresses;
  std::string fqdn;
};

// Those a container has on weft's networks: as attached, and as its names say.
Result<std::vector<Ip>> addresses_of(const Settings& settings, const std::string& id) {
  std::vector<Ip> addresses;
  const auto add = [&addresses](const Ip& address) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  };
  const std::string attached = WEFT_TRY(call(settings, "GET", "/attach"));
  const std::string names = WEFT_TRY(call(settings, "GET", "/name"));
  try {
    const json::value attached_json = json::parse(attached);
    for (const json::value& one : attached_json.at("attached").as_array()) {
      if (std::string_view(one.at("id").as_string()) != id) {
        continue;
      }
      for (const json::value& address : one.at("addresses").as_array()) {
        const Cidr cidr = WEFT_TRY(Cidr::parse(std::string_view(address.as_string())));
        add(cidr.address());
      }
    }
    const json::value names_json = json::parse(names);
    for (const json::value& name : names_json.as_array()) {
      if (std::string_view(name.at("ContainerID").as_string()) == id) {
        const Ip address = WEFT_TRY(Ip::parse(std::string_view(name.at("Address").as_string())));
        add(address);
      }
    }
  } catch (const std::exception& error) {
    return Error{Errc::Conflict, fmt::format("answer of the agent: {}", error.what())};
  }
  return addresses;
}

Result<Subject> subject_of(const Settings& settings) {
  Subject subject;
  subject.fqdn = settings.text("fqdn");
  for (const std::string& word : settings.arguments()) {
    if (const auto address = Ip::parse(word); address.ok()) {
      subject.addresses.push_back(address.value());
      continue;
    }
    if (subject.is_container) {
      return Error{Errc::Invalid,
                   fmt::format("\"{}\" is no address, and one container is enough", word)};
    }
    if (is_remote(settings)) {
      return Error{Errc::Invalid,
                   fmt::format("\"{}\" is no address, and containers are found on their own host "
                               "alone (run this there)",
                               word)};
    }
    // An agent without Docker takes any identity.
    const auto container = find_container(settings, word);
    if (!container.ok() && container.error().code == Errc::NotFound) {
      return container.error();
    }
    subject.is_container = true;
    subject.owner = container.ok() ? container.value().id : word;
    if (subject.fqdn.empty() && container.ok()) {
      subject.fqdn = container.value().fqdn();
    }
  }
  return subject;
}

Result<Ok> add(const Settings& settings) {
  Subject subject = WEFT_TRY(subject_of(settings));
  if (subject.fqdn.empty()) {
    return Error{Errc::Invalid, "dns-add needs -h NAME, or a container that has one"};
  }
  if (subject.addresses.empty() && subject.is_container) {
    subject.addresses = WEFT_TRY(addresses_of(settings, subject.owner));
  }
  if (subject.addresses.empty()) {
    return Error{Errc::NotFound, "dns-add needs an address, or a container on a network of weft's"};
  }
  const std::string fqdn = WEFT_TRY(name_to_give(settings, subject.fqdn));
  const std::string port = settings.text("service-port");
  for (const Ip& address : subject.addresses) {
    (void)WEFT_TRY(call(settings,
                        "PUT",
                        fmt::format("/name/{}/{}?fqdn={}{}{}",
                                    subject.owner,
                                    address.to_string(),
                                    fqdn,
                                    port.empty() ? "" : "&port=",
                                    port)));
  }
  return Ok{};
}

Result<Ok> remove(const Settings& settings) {
  const Subject subject = WEFT_TRY(subject_of(settings));
  if (!subject.is_container && subject.addresses.empty()) {
    return Error{Errc::Invalid, "dns-remove needs an address or a container"};
  }
  // Without -h all names go, a container's own too.
  const std::string fqdn = WEFT_TRY(qualified_name(settings, settings.text("fqdn")));
  const std::string query = fqdn.empty() ? "" : "?fqdn=" + fqdn;
  if (subject.addresses.empty()) {
    (void)WEFT_TRY(call(settings, "DELETE", "/name/" + subject.owner + query));
  }
  for (const Ip& address : subject.addresses) {
    (void)WEFT_TRY(call(settings,
                        "DELETE",
                        fmt::format("/name/{}/{}{}", subject.owner, address.to_string(), query)));
  }
  return Ok{};
}

// One question and its answer over UDP.
class Lookup {
 public:
  Result<std::vector<std::string>> run(const Endpoint& server, const dns::Question& question) {
    constexpr std::uint16_t kId = 1;  // The socket is connected to an address of this host.
    const Bytes query = dns::write_query(kId, question, dns::Edns{.udp_size = dns::kUdpSizeMax});
    boost::system::error_code error;
    socket_.connect({dns::to_asio(server.address), server.port}, error);
    if (!error) {
      socket_.send(boost::asio::buffer(query), 0, error);
    }
    if (error) {
      return Error{Errc::Unavailable, fmt::format("{}: {}", server.to_string(), error.message())};
    }
    std::optional<std::size_t> size;
    socket_.async_receive(boost::asio::buffer(buffer_), [&](const auto& failure, std::size_t got) {
      size = failure ? std::nullopt : std::optional(got);
    });
    context_.run_for(kLookupTimeout);
    if (!size) {
      return Error{Errc::Unavailable, fmt::format("{} does not answer", server.to_string())};
    }
    return answers(ByteView(buffer_).first(*size));
  }

 private:
  // Priority, weight and port stand in front of the host's name (RFC 2782).
  static constexpr std::size_t kServiceNumbers = 6;

  static Result<std::string> service_line(ByteView octets, std::size_t at) {
    std::string line;
    for (const std::size_t end = at + kServiceNumbers; at < end; at += 2) {
      line += fmt::format("{} ", octets[at] * 256U + octets[at + 1]);
    }
    const dns::Name host = WEFT_TRY(dns::read_name(octets, at));
    return line + host.to_string();
  }

  static Result<std::vector<std::string>> answers(ByteView octets) {
    const dns::Message message = WEFT_TRY(dns::read_message(octets));
    std::vector<std::string> lines;
    for (const dns::Record& record : message.records) {
      if (record.section != dns::Record::Section::Answer) {
        continue;
      }
      if (record.type == dns::kA || record.type == dns::kAaaa) {
        const Ip address =
            WEFT_TRY(Ip::from_bytes(octets.subspan(record.data_at, record.data_size)));
        lines.push_back(address.to_string());
      } else if (record.type == dns::kPtr) {
        std::size_t at = record.data_at;
        const dns::Name name = WEFT_TRY(dns::read_name(octets, at));
        lines.push_back(name.to_string());
      } else if (record.type == dns::kSrv && record.data_size > kServiceNumbers) {
        lines.push_back(WEFT_TRY(service_line(octets, record.data_at)));
      }
    }
    return lines;
  }

  boost::asio::io_context context_{1};
  boost::asio::ip::udp::socket socket_{context_};
  std::array<std::uint8_t, dns::kUdpSizeMax> buffer_{};
};

Result<std::string> folded_name(const Settings& settings, const std::string& word) {
  const std::string whole = WEFT_TRY(qualified_name(settings, word));
  const dns::Name name = WEFT_TRY(dns::Name::parse(whole));
  return name.folded();
}

// What the agent of another host knows of the word, its names alone: where its DNS listens only its
// own containers can ask.
Result<std::vector<std::string>> known_names(const Settings& settings, const std::string& word) {
  const auto address = Ip::parse(word);
  const std::string wanted =
      WEFT_TRY(address.ok() ? Result<std::string>(address.value().to_string())
                            : folded_name(settings, word));
  const std::string text = WEFT_TRY(call(settings, "GET", "/name"));
  std::vector<std::string> lines;
  try {
    const json::value names = json::parse(text);
    for (const json::value& one : names.as_array()) {
      const std::string host(one.at("Hostname").as_string());
      const std::string at(one.at("Address").as_string());
      const dns::Name known = WEFT_TRY(dns::Name::parse(host));
      const bool is_asked = (address.ok() ? at : known.folded()) == wanted;
      if (is_asked && !one.at("Suspended").as_bool()) {
        lines.push_back(address.ok() ? host : at);
      }
    }
  } catch (const std::exception& error) {
    return Error{Errc::Conflict, fmt::format("answer of the agent: {}", error.what())};
  }
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return lines;
}

// Addresses of both families, the name of an address, or where a service is.
Result<std::vector<std::string>> lookup(const Settings& settings) {
  if (is_remote(settings)) {
    return known_names(settings, settings.arguments().front());
  }
  const std::string address = WEFT_TRY(call(settings, "GET", "/dns-address-port"));
  const Endpoint server = WEFT_TRY(Endpoint::parse(address));
  const std::string& word = settings.arguments().front();
  if (const auto ip = Ip::parse(word); ip.ok()) {
    return Lookup().run(server, {.name = dns::Name::reverse_of(ip.value()), .type = dns::kPtr});
  }
  if (word.starts_with('_')) {  // A service, whose name is not completed by the server.
    const std::string whole = WEFT_TRY(qualified_name(settings, word));
    const dns::Name service = WEFT_TRY(dns::Name::parse(whole));
    return Lookup().run(server, {.name = service, .type = dns::kSrv});
  }
  const dns::Name name = WEFT_TRY(dns::Name::parse(word));
  auto lines = WEFT_TRY(Lookup().run(server, {.name = name, .type = dns::kA}));
  const auto v6 = WEFT_TRY(Lookup().run(server, {.name = name, .type = dns::kAaaa}));
  lines.insert(lines.end(), v6.begin(), v6.end());
  return lines;
}

// Where an agent would listen, for those who ask before it runs.
std::string docker_bridge_address(const std::string& bridge) {
  const auto netdev = sys::open_netdev();
  const auto addresses =
      netdev.ok() ? netdev.value()->addresses(bridge) : Result<std::vector<Cidr>>(netdev.error());
  return addresses.ok() && !addresses.value().empty()
             ? addresses.value().front().address().to_string()
             : "172.17.0.1";
}

}  // namespace

Result<std::string> qualified_name(const Settings& settings, const std::string& fqdn) {
  if (fqdn.empty() || fqdn.ends_with('.')) {
    return fqdn;
  }
  const std::string domain = WEFT_TRY(call(settings, "GET", "/domain"));
  const dns::Name zone = WEFT_TRY(dns::Name::parse(domain));
  const dns::Name name = WEFT_TRY(dns::Name::parse(fqdn));
  // "_http._tcp.web": the labels of a service (RFC 2782) stand in front of a name as others do.
  dns::Name host = name;
  while (host.label_count() > 1 && host.wire()[1] == '_') {
    host = host.parent();
  }
  const bool is_whole = name.is_within(zone) || host.label_count() > 1;
  return is_whole ? fqdn + "." : fqdn + "." + domain;
}

Result<std::string> name_to_give(const Settings& settings, const std::string& fqdn) {
  std::string whole = WEFT_TRY(qualified_name(settings, fqdn));
  const std::string domain = WEFT_TRY(call(settings, "GET", "/domain"));
  const dns::Name zone = WEFT_TRY(dns::Name::parse(domain));
  const dns::Name name = WEFT_TRY(dns::Name::parse(whole));
  if (!name.is_within(zone)) {
    fmt::print(stderr,
               "weft: warning: {} is outside {}, the domain this DNS answers for: left out\n",
               whole,
               domain);
  }
  return whole;
}

ExitCode run_dns_add(const Settings& settings) {
  const auto done = add(settings);
  return done.ok() ? ExitCode::Ok : report(done.error());
}

ExitCode run_dns_remove(const Settings& settings) {
  const auto done = remove(settings);
  return done.ok() ? ExitCode::Ok : report(done.error());
}

ExitCode run_dns_lookup(const Settings& settings) {
  const auto lines = lookup(settings);
  if (!lines.ok()) {
    return report(lines.error());
  }
  for (const std::string& line : lines.value()) {
    fmt::print("{}\n", line);
  }
  return ExitCode::Ok;
}

ExitCode run_dns_args(const Settings& settings) {
  const auto domain = call(settings, "GET", "/domain");
  if (!domain.ok() && domain.error().code == Errc::NotFound) {
    return ExitCode::Ok;  // Without DNS there is nothing to say.
  }
  if (is_remote(settings) && !domain.ok()) {
    return report(domain.error());  // What this host would be told is not what that one would.
  }
  const auto address = call(settings, "GET", "/dns-address");
  fmt::print("--dns={} --dns-search={}",
             address.ok() ? address.value() : docker_bridge_address(settings.text("docker-bridge")),
             domain.ok() ? domain.value() : settings.text("dns-domain"));
  return ExitCode::Ok;
}

}  // namespace weft::agent
