#include "agent/config.h"

#include <charconv>

#include <fmt/format.h>

#include "dns/message.h"
#include "ipam/claims.h"
#include "plugin/proxy/pattern.h"
#include "router/connector.h"
#include "router/mesh.h"

namespace weft::agent {

namespace {

// Settings were checked, so this cannot fail.
template <class Number>
Number number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  WEFT_ASSERT(error == std::errc());
  return number;
}

// The blocks of a checked ValueKind::Cidr: of IPv4, and perhaps of IPv6.
Result<std::pair<Cidr, std::optional<Cidr>>> parse_blocks(std::string_view text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const Cidr v4 = WEFT_TRY(Cidr::parse(text.substr(0, comma)));
  if (comma == text.size()) {
    return std::pair(v4, std::optional<Cidr>());
  }
  const Cidr v6 = WEFT_TRY(Cidr::parse(text.substr(comma + 1)));
  return std::pair(v4, std::optional(v6));
}

// Networks without a subnet use it, so that those with one find room in the other half: a container
// cannot be on two networks whose subnets overlap.
Cidr first_half(const Cidr& range) {
  return {range.address(), static_cast<std::uint8_t>(range.prefix() + 1)};
}

// What people number one link with (RFC 4291, 2.5.1), so that the rest of the range is left for
// networks with a subnet of their own.
constexpr std::uint8_t kLinkPrefix = 64;

Cidr first_link(const Cidr& range) {
  return {range.address(), std::max(range.prefix(), kLinkPrefix)};
}

// A subnet may be the wider one: what lies outside the range is there for people to give out.
Result<Ok> check_overlap(const Cidr& subnet, const Cidr& range) {
  if (subnet.overlaps(range)) {
    return Ok{};
  }
  return Error{Errc::Invalid,
               fmt::format("--ipalloc-default-subnet {} is outside --ipalloc-range {}",
                           subnet.to_string(),
                           range.to_string())};
}

Result<Ok> set_ranges(const Settings& settings, Config& config) {
  if (settings.text("ipalloc-range") == "off") {
    config.range = ipam::no_range();
    config.default_subnet = config.range;
    for (const char* const flag : {"ipalloc-default-subnet", "ipalloc-init"}) {
      if (!settings.text(flag).empty()) {
        return Error{Errc::Invalid, fmt::format("--{} without an --ipalloc-range", flag)};
      }
    }
    return Ok{};
  }
  const auto ranges = WEFT_TRY(parse_blocks(settings.text("ipalloc-range")));
  config.range = ranges.first;
  config.range_v6 = ranges.second;
  config.default_subnet =
      settings.is_given("ipalloc-range") ? config.range : first_half(config.range);
  config.default_subnet_v6 = config.range_v6 ? first_link(*config.range_v6) : Cidr();
  if (settings.is_given("ipalloc-default-subnet")) {
    const auto subnets = WEFT_TRY(parse_blocks(settings.text("ipalloc-default-subnet")));
    config.default_subnet = subnets.first;
    if (subnets.second && !config.range_v6) {
      return Error{Errc::Invalid,
                   fmt::format("--ipalloc-default-subnet {} without an IPv6 block in "
                               "--ipalloc-range (expected such as {},fd00:32::/48)",
                               subnets.second->to_string(),
                               config.range.to_string())};
    }
    config.default_subnet_v6 = subnets.second.value_or(config.default_subnet_v6);
  }
  WEFT_TRY(check_overlap(config.default_subnet, config.range));
  return config.range_v6 ? check_overlap(config.default_subnet_v6, *config.range_v6)
                         : Result<Ok>(Ok{});
}

Result<DnsConfig> make_dns_config(const Settings& settings) {
  DnsConfig config{
      .enabled = !settings.flag("no-dns"),
      .domain = WEFT_TRY(dns::Name::parse(settings.text("dns-domain"))),
      .listen = std::nullopt,
      .docker_bridge = settings.text("docker-bridge"),
      .docker_bridge_chosen = settings.is_given("docker-bridge"),
      .ttl_seconds = seconds_of(settings.text("dns-ttl")),
      .local_first = settings.flag("dns-local-first"),
      .resolv_conf = settings.text("resolv-conf"),
      .upstream_timeout = std::chrono::seconds(seconds_of(settings.text("dns-fallback-timeout")))};
  if (settings.is_given("dns-listen-address")) {
    config.listen = WEFT_TRY(parse_listen(settings.text("dns-listen-address"), dns::kPort));
  }
  return config;
}

}  // namespace

namespace {

// Blocks separated by commas; none for an empty text.
Result<std::vector<Cidr>> parse_subnets(std::string_view text) {
  std::vector<Cidr> subnets;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    subnets.push_back(WEFT_TRY(Cidr::parse(one)));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
  }
  return subnets;
}

}  // namespace

namespace {

// Precondition: a checked ValueKind::Place of ListenAt.
Result<ListenPlace> parse_place(const std::string& text) {
  if (text.starts_with(kRemoteScheme)) {
    return Error{
        Errc::Invalid,
        fmt::format("{} is where commands find the agent of another host (an agent listens "
                    "at an address and a port, or at the path of a Unix socket)",
                    text)};
  }
  if (text.empty() || text == "off") {
    return ListenPlace{};
  }
  if (text.starts_with('/')) {
    return ListenPlace{.tcp = {}, .path = text};
  }
  return ListenPlace{.tcp = WEFT_TRY(Endpoint::parse(text)), .path = {}};
}

Result<CertificateFiles> take_certificate(const Settings& settings, const std::string& prefix) {
  CertificateFiles files{.chain = settings.text(prefix + "-cert"),
                         .key = settings.text(prefix + "-key")};
  if (files.chain.empty() != files.key.empty()) {
    return Error{Errc::Invalid, fmt::format("--{0}-cert and --{0}-key belong together", prefix)};
  }
  return files;
}

// Whoever reaches the control API commands the agent.
Result<Ok> place_apis(const Settings& settings, Config& config) {
  config.http_address = WEFT_TRY(parse_place(settings.text("http-addr")));
  config.status_address = WEFT_TRY(parse_place(settings.text("status-addr")));
  config.metrics_address = WEFT_TRY(parse_place(settings.text("metrics-addr")));
  config.http_token_file = settings.text("http-token-file");
  config.http_files = WEFT_TRY(take_certificate(settings, "http"));
  if (config.http_address.tcp && !config.http_address.tcp->address.is_loopback()
      && config.http_token_file.empty()) {
    return Error{
        Errc::Invalid,
        fmt::format("--http-addr {} is reached from other hosts, who could command the "
                    "agent: give it a token (--http-token-file PATH), with which it speaks "
                    "TLS there, a loopback address, or the path of a Unix socket "
                    "(--status-addr may be anywhere)",
                    settings.text("http-addr"))};
  }
  return Ok{};
}

Result<Ok> take_engine_tls(const Settings& settings, Config& config) {
  CertificateFiles files = WEFT_TRY(take_certificate(settings, "docker-tls"));
  const std::string& authorities = settings.text("docker-tls-ca");
  const std::string& name = settings.text("docker-tls-name");
  if (authorities.empty() && files.chain.empty() && name.empty()) {
    return Ok{};
  }
  if (authorities.empty() || !config.docker_tcp) {
    return Error{
        Errc::Invalid,
        "TLS with the Docker engine takes --docker-tcp and --docker-tls-ca (who has signed "
        "the engine's certificate)"};
  }
  config.docker_tls =
      sys::TlsTrust{.authorities = authorities,
                    .name = name.empty() ? config.docker_tcp->address.to_string() : name,
                    .chain = std::move(files.chain),
                    .key = std::move(files.key)};
  return Ok{};
}

// Containers made through the proxy follow from Docker's events when they start by themselves.
Result<Ok> take_proxy(const Settings& settings, Config& config) {
  const std::string& authorities = settings.text("proxy-client-ca");
  CertificateFiles files = WEFT_TRY(take_certificate(settings, "proxy"));
  std::vector<plugin::proxy::Place> places = WEFT_TRY(plugin::proxy::parse_places(
      settings.text("docker-proxy"),
      authorities.empty() ? plugin::proxy::Clients::Anybody : plugin::proxy::Clients::Certified));
  if (authorities.empty() && !files.chain.empty()) {
    return Error{Errc::Invalid,
                 "--proxy-cert without --proxy-client-ca: TLS alone keeps nobody from commanding "
                 "the Docker engine"};
  }
  config.proxy = {.places = std::move(places),
                  .files = std::move(files),
                  .client_authorities = authorities,
                  .default_allocation = !settings.flag("proxy-no-default-ipalloc"),
                  .dns = !settings.flag("proxy-without-dns"),
                  .rewrite_hosts = !settings.flag("proxy-no-rewrite-hosts"),
                  .multicast_route = !settings.flag("proxy-no-multicast-route"),
                  .hostname_label = settings.text("proxy-hostname-from-label"),
                  .hostname_match = settings.text("proxy-hostname-match"),
                  .hostname_replacement = settings.text("proxy-hostname-replacement")};
  if (!config.docker && !config.proxy.places.empty()) {
    return Error{Errc::Invalid, "--docker-proxy serves Docker, and --no-docker does not"};
  }
  return plugin::proxy::check_pattern(config.proxy.hostname_match);
}

router::EspWish esp_wish(const Settings& settings) {
  const std::string& wish = settings.text("esp");
  return wish == "on"    ? router::EspWish::On
         : wish == "off" ? router::EspWish::Off
                         : router::EspWish::Auto;
}

// Where the UI is, who may come, and what they may do.
Result<Ok> take_ui(const Settings& settings, Config& config) {
  if (settings.text("ui-listen") != "off") {
    config.ui_listen = WEFT_TRY(Endpoint::parse(settings.text("ui-listen")));
  }
  config.ui_token_file = settings.text("ui-token-file");
  config.ui_users_file = settings.text("ui-users-file");
  const std::string& tls = settings.text("ui-tls");
  config.ui_tls = tls == "on" ? UiTls::On : tls == "off" ? UiTls::Off : UiTls::Auto;
  config.ui_files = WEFT_TRY(take_certificate(settings, "ui"));
  config.ui_proxies = WEFT_TRY(parse_subnets(settings.text("ui-proxies")));
  const std::string& controls = settings.text("controls");
  config.controls = controls == "off"     ? Controls::Off
                    : controls == "login" ? Controls::Login
                                          : Controls::Loopback;
  config.host_shell = settings.flag("host-shell");
  return Ok{};
}

}  // namespace

Result<StatePlace> place_state(const Settings& settings) {
  constexpr std::string_view kStore = "weft.db";
  const std::string& folder = settings.text("state-dir");
  const std::string& prefix = settings.text("db-prefix");
  if (prefix.empty()) {
    return StatePlace{.folder = folder, .store = fmt::format("{}/{}", folder, kStore)};
  }
  if (settings.is_given("state-dir")) {
    return Error{Errc::Invalid,
                 fmt::format("--state-dir {} and --db-prefix {} both say where the state is "
                             "(expected one of them)",
                             folder,
                             prefix)};
  }
  // Not Weave's own "data.db", which may be there and is no store of weft's.
  return StatePlace{.folder = prefix.substr(0, std::max<std::size_t>(prefix.rfind('/'), 1)),
                    .store = fmt::format("{}{}", prefix, kStore)};
}

Result<Config> make_config(const Settings& settings, const std::string& host_name) {
  Config config;
  if (settings.is_given("name")) {
    config.name = WEFT_TRY(PeerName::parse(settings.text("name")));
  }
  config.nickname = settings.is_given("nickname") ? settings.text("nickname") : host_name;
  if (settings.is_given("host")) {
    config.host = WEFT_TRY(Ip::parse(settings.text("host")));
  }
  config.port = number_of<std::uint16_t>(settings.text("port"));
  config.password_file = settings.text("password-file");
  config.plaintext_data = settings.flag("plaintext-data");
  config.trusted_subnets = WEFT_TRY(parse_subnets(settings.text("trusted-subnets")));
  config.esp = esp_wish(settings);
  WEFT_TRY(set_ranges(settings, config));
  config.init = WEFT_TRY(parse_ipam_init(settings.text("ipalloc-init")));
  config.forfeit_after =
      std::chrono::hours(number_of<std::uint32_t>(settings.text("ipalloc-forfeit-hours")));
  config.discovery = !settings.flag("no-discovery");
  config.bpf = !settings.flag("no-bpf");
  config.expect_npc = settings.flag("expect-npc");
  config.docker = !settings.flag("no-docker");
  config.range_may_overlap = settings.flag("range-may-overlap");
  config.no_masq_local = settings.flag("no-masq-local");
  config.udp_octets = settings.flag("udp-octets");
  config.dns = WEFT_TRY(make_dns_config(settings));
  config.mtu = number_of<std::uint32_t>(settings.text("mtu"));
  config.host_paths = host_paths(settings);
  config.bridge = settings.text("bridge");
  if (!settings.flag("no-docker-plugin")) {
    config.docker_plugin_socket = settings.text("docker-plugin-socket");
    config.docker_swarm_socket = settings.text("docker-swarm-socket");
  }
  config.docker_socket = settings.text("docker-socket");
  WEFT_TRY(take_proxy(settings, config));
  WEFT_TRY(take_ui(settings, config));
  const StatePlace state = WEFT_TRY(place_state(settings));
  config.state_dir = state.folder;
  config.store_path = state.store;
  config.run_dir = settings.text("run-dir");
  if (settings.is_given("docker-tcp")) {
    config.docker_tcp = WEFT_TRY(Endpoint::parse(settings.text("docker-tcp")));
    config.docker_socket = config.engine_socket();
  }
  WEFT_TRY(take_engine_tls(settings, config));
  config.log_level = settings.text("log-level");
  config.log_file = settings.text("log-file");
  for (const std::string& argument : settings.arguments()) {
    (void)WEFT_TRY(router::Target::parse(argument, config.port));
    config.targets.push_back(argument);
  }
  config.resume = settings.flag("resume");
  if (config.resume && !config.targets.empty()) {
    return Error{Errc::Invalid, "--resume returns to the peers of the last run (expected no PEER)"};
  }
  const auto limit = number_of<std::size_t>(settings.text("conn-limit"));
  config.connections_max = limit == 0 ? router::Mesh::Options{}.peers_max : limit;
  WEFT_TRY(place_apis(settings, config));
  return config;
}

namespace {

Result<Ok> check_esp(const Config& config) {
  if (config.password_file.empty() || config.plaintext_data) {
    return Error{
        Errc::Invalid,
        "--esp on says who encrypts, but without --password-file, or with --plaintext-data, "
        "nothing is encrypted"};
  }
  if (!has_fast_path(config)) {
    return Error{
        Errc::Invalid,
        "--esp on needs the BPF fast path, which keeps frames in clear off the wire (it is "
        "off with --no-bpf and with --expect-npc)"};
  }
  return Ok{};
}

}  // namespace

bool has_fast_path(const Config& config) {
  return config.bpf && !config.expect_npc;
}

Result<Ok> check_encryption(const Config& config) {
  if (config.esp == router::EspWish::On) {
    WEFT_TRY(check_esp(config));
  }
  if (config.trusted_subnets.empty()) {
    return Ok{};
  }
  if (config.password_file.empty()) {
    return Error{Errc::Invalid,
                 "--trusted-subnets exempts hosts from encryption, but without --password-file "
                 "nothing is encrypted"};
  }
  if (!has_fast_path(config)) {
    return Error{Errc::Invalid,
                 "--trusted-subnets needs the BPF fast path: with --no-bpf or --expect-npc the "
                 "kernel would take frames in clear from everybody"};
  }
  return Ok{};
}

bool Config::has_range() const {
  return range != ipam::no_range();
}

Result<Ok> check_overlap(const Cidr& range,
                         const std::string& bridge,
                         const std::vector<RouteInfo>& routes) {
  for (const RouteInfo& route : routes) {
    if (route.destination.prefix() == 0 || route.link == bridge
        || !route.destination.overlaps(range)) {
      continue;
    }
    return Error{
        Errc::Conflict,
        fmt::format("the address range {} overlaps the route {} ({}) of this host; choose "
                    "another with --ipalloc-range, the same on every host",
                    range.to_string(),
                    route.destination.to_string(),
                    route.gateway ? "via " + route.gateway->to_string() + " dev " + route.link
                                  : "dev " + route.link)};
  }
  return Ok{};
}

namespace {

// Takes one line off the front, without its end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace

Result<Passwords> parse_passwords(std::string_view content) {
  const std::string_view current = take_line(content);
  const std::string_view old = take_line(content);
  if (current.empty()) {
    return Error{Errc::Invalid, "password file is empty (expected the password on its first line)"};
  }
  while (!content.empty()) {
    if (!take_line(content).empty()) {
      return Error{Errc::Invalid,
                   "password file has more than two lines (expected the password, and on the "
                   "second line the one it replaces)"};
    }
  }
  const bool is_replacing = !old.empty() && old != current;
  return Passwords{std::string(current),
                   is_replacing ? std::optional(std::string(old)) : std::nullopt};
}

}  // namespace weft::agent
