#include "agent/cli/attach/attach.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <sstream>

#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/attach/container.h"
#include "agent/cli/client.h"
#include "agent/cli/dns.h"
#include "agent/http/form.h"
#include "sys/netdev.h"
#include "sys/posix/rooted_file.h"

namespace weft::agent {
namespace {

// A namespace entered, a few links made: milliseconds, unless the host is very busy.
constexpr int kAttachTimeoutSeconds = 20;

std::string form_of(const std::vector<Cidr>& addresses) {
  std::string form;
  for (const Cidr& address : addresses) {
    form += "&address=" + encode_percent(address.to_string());
  }
  return form;
}

struct Subject {
  Container container;
  std::vector<AddressWord> words;
};

Result<Subject> subject_of(const Settings& settings) {
  AddressWords words = WEFT_TRY(parse_address_words(settings.arguments()));
  if (words.rest.size() != 1) {
    return Error{
        Errc::Invalid,
        words.rest.empty()
            ? "which container?"
            : fmt::format("\"{}\" is no address, and one container is enough", words.rest.front())};
  }
  Container container = WEFT_TRY(require_container(settings, words.rest.front()));
  return Subject{.container = std::move(container), .words = std::move(words.addresses)};
}

// What the host itself would reach elsewhere, the container reaches in its subnet from here on.
void warn_of_overlap(const std::vector<AddressWord>& words) {
  const auto netdev = sys::open_netdev();
  const auto routes =
      netdev.ok() ? netdev.value()->routes() : Result<std::vector<RouteInfo>>(netdev.error());
  for (const RouteInfo& route : routes.ok() ? routes.value() : std::vector<RouteInfo>()) {
    for (const AddressWord& word : words) {
      if (word.kind == AddressWord::Kind::Exact && route.destination.prefix() != 0
          && route.destination.overlaps(word.cidr.network())) {
        fmt::print(stderr,
                   "weft: warning: {} overlaps the route {} of this host ({})\n",
                   word.cidr.to_string(),
                   route.destination.to_string(),
                   route.link);
      }
    }
  }
}

Result<Ok> give_names(const Settings& settings,
                      const Container& container,
                      const std::vector<Cidr>& addresses) {
  if (container.fqdn().empty()) {
    return Ok{};  // A namespace has no name.
  }
  const Result<std::string> fqdn = qualified_name(settings, container.fqdn());
  if (!fqdn.ok()) {
    // Where DNS is off there is nothing to do.
    return fqdn.error().code == Errc::NotFound ? Result<Ok>(Ok{}) : Result<Ok>(fqdn.error());
  }
  for (const Cidr& address : addresses) {
    const auto given = ask_agent(settings,
                                 "PUT",
                                 fmt::format("/name/{}/{}?fqdn={}&check-alive=true",
                                             encode_percent(container.id),
                                             address.address().to_string(),
                                             encode_percent(fqdn.value())),
                                 kAttachTimeoutSeconds);
    if (!given.ok() && given.error().code != Errc::NotFound) {
      return given.error();
    }
  }
  return Ok{};
}

// "name:ip,…" as --add-host takes it.
Result<std::vector<std::string>> extra_hosts(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word);) {
    const std::size_t colon = word.find(':');
    const auto address =
        Ip::parse(colon == std::string::npos ? "" : std::string_view(word).substr(colon + 1));
    if (!address.ok()) {
      return Error{Errc::Invalid, fmt::format("--add-host {} (expected NAME:ADDRESS)", word)};
    }
    lines.push_back(fmt::format("{}\t{}", address.value().to_string(), word.substr(0, colon)));
  }
  return lines;
}

// Through the container, since the engine's folders may be read-only to an agent.
Result<Ok> rewrite_hosts(const std::string& root,
                         const Container& container,
                         const std::vector<Cidr>& addresses,
                         const std::vector<std::string>& extra) {
  constexpr std::string_view kBegin = "# weft: begin";
  constexpr std::string_view kEnd = "# weft: end";
  constexpr const char* kHosts = "/etc/hosts";
  // The proxy hears of a container from who starts it and from the engine, at the same time.
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  const std::string before = WEFT_TRY(sys::read_in_root(root, kHosts));
  std::istringstream present(before);
  std::string others;
  bool is_ours = false;
  for (std::string line; std::getline(present, line);) {
    is_ours = is_ours || line == kBegin;
    others += is_ours ? "" : line + "\n";
    is_ours = is_ours && line != kEnd;
  }
  // In front of Docker's own line of the host name, as the first one counts.
  std::string text = fmt::format("{}\n", kBegin);
  for (const Cidr& address : addresses) {
    const std::string full =
        container.domain_name.empty()
            ? ""
            : fmt::format("{}.{} ", container.host_name, container.domain_name);
    text += fmt::format("{}\t{}{}\n", address.address().to_string(), full, container.host_name);
  }
  for (const std::string& line : extra) {
    text += line + "\n";
  }
  text += fmt::format("{}\n{}", kEnd, others);
  // A file that is being written is empty to who reads it.
  return text == before ? Result<Ok>(Ok{}) : sys::write_in_root(root, kHosts, text);
}

// The container's addresses in the subnets the words are about, before they are taken.
std::vector<Cidr> held_addresses(const Settings& settings,
                                 const std::string& id,
                                 const std::vector<AddressWord>& words) {
  std::vector<Cidr> all;
  for (AddressWord word : words) {
    if (word.kind == AddressWord::Kind::Exact) {
      word = {AddressWord::Kind::Subnet, word.cidr.network()};
    }
    // Nothing can be held where nothing can be asked for: outside the range, without a ring.
    const auto held = look_up_addresses(settings, id, {word});
    if (held.ok()) {
      all.insert(all.end(), held.value().begin(), held.value().end());
    }
  }
  return all;
}

Result<Ok> plug(const Settings& settings,
                const Container& container,
                const std::vector<Cidr>& addresses) {
  (void)WEFT_TRY(
      ask_agent(settings,
                "POST",
                fmt::format("/attach/{}?netns={}{}{}",
                            encode_percent(container.id),
                            encode_percent(container.netns),
                            settings.flag("no-multicast-route") ? "&multicast=false" : "",
                            form_of(addresses)),
                kAttachTimeoutSeconds));
  return Ok{};
}

struct Wanted {
  std::vector<Cidr> addresses;
  std::vector<Cidr> held;  // Of these subnets, before.
  std::vector<std::string> extra_hosts;
};

Result<Ok> bring_in(const Settings& settings, const Container& container, const Wanted& wanted) {
  const bool has_hosts =
      (settings.flag("rewrite-hosts") || !wanted.extra_hosts.empty()) && !container.root.empty();
  const std::string root = host_paths(settings).here(container.root);
  if (has_hosts) {
    // First, since a container made through the proxy begins once it has the interface.
    WEFT_TRY(rewrite_hosts(root, container, wanted.addresses, wanted.extra_hosts));
  }
  auto plugged = plug(settings, container, wanted.addresses);
  if (has_hosts && !plugged.ok()) {
    (void)rewrite_hosts(
        root, container, wanted.held, {});  // What is said is why it was not plugged.
  }
  return plugged;
}

}  // namespace

Result<std::vector<Cidr>> attach_container(const Settings& settings) {
  const Subject subject = WEFT_TRY(subject_of(settings));
  const Container& container = subject.container;
  const std::vector<std::string> extra = WEFT_TRY(extra_hosts(settings.text("add-host")));
  if (!container.is_running()) {
    return Error{Errc::NotFound, fmt::format("container {} is not running", container.name)};
  }
  warn_of_overlap(subject.words);
  std::vector<Cidr> held = held_addresses(settings, container.id, subject.words);
  std::vector<Cidr> addresses = WEFT_TRY(take_addresses(settings, container.id, subject.words));
  const Wanted wanted{.addresses = addresses, .held = std::move(held), .extra_hosts = extra};
  if (auto done = bring_in(settings, container, wanted); !done.ok()) {
    for (const Cidr& address : addresses) {
      if (std::find(wanted.held.begin(), wanted.held.end(), address) == wanted.held.end()) {
        (void)give_back_address(settings, container.id, address);  // What went wrong is said below.
      }
    }
    return std::move(done).error();
  }
  if (!settings.flag("without-dns")) {
    WEFT_TRY(give_names(settings, container, addresses));
  }
  return addresses;
}

namespace {

Result<std::vector<Cidr>> detach(const Settings& settings) {
  const Subject subject = WEFT_TRY(subject_of(settings));
  const Container& container = subject.container;
  std::vector<Cidr> addresses = WEFT_TRY(look_up_addresses(settings, container.id, subject.words));
  if (addresses.empty()) {
    return addresses;
  }
  (void)WEFT_TRY(ask_agent(settings,
                           "DELETE",
                           fmt::format("/attach/{}?netns={}{}",
                                       encode_percent(container.id),
                                       encode_percent(container.netns),
                                       form_of(addresses)),
                           kAttachTimeoutSeconds));
  WEFT_TRY(give_back_addresses(settings, container.id, subject.words));
  return addresses;
}

}  // namespace

ExitCode report_addresses(const Result<std::vector<Cidr>>& addresses) {
  if (!addresses.ok()) {
    return report(addresses.error());
  }
  print_addresses(addresses.value());
  return ExitCode::Ok;
}

ExitCode run_attach(const Settings& settings) {
  return report_addresses(attach_container(settings));
}

ExitCode run_detach(const Settings& settings) {
  return report_addresses(detach(settings));
}

}  // namespace weft::agent
