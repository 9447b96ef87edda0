#include <cstdio>

#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/attach/attach.h"
#include "agent/cli/client.h"
#include "agent/cli/dns.h"
#include "agent/http/form.h"
#include "dns/names.h"

namespace weft::agent {
namespace {

// Rules and addresses: milliseconds, unless the host is very busy.
constexpr int kExposeTimeoutSeconds = 20;

std::string path_of(const Cidr& address) {
  return fmt::format("/expose/{}/{}", address.address().to_string(), address.prefix());
}

Result<std::vector<AddressWord>> words_of(const Settings& settings) {
  AddressWords words = WEFT_TRY(parse_address_words(settings.arguments()));
  if (!words.rest.empty()) {
    return Error{
        Errc::Invalid,
        fmt::format("\"{}\" is no address (expected A.B.C.D/LEN, net:SUBNET or net:default)",
                    words.rest.front())};
  }
  return std::move(words.addresses);
}

Result<std::vector<Cidr>> expose(const Settings& settings) {
  const std::vector<AddressWord> words = WEFT_TRY(words_of(settings));
  std::vector<Cidr> addresses = WEFT_TRY(take_addresses(settings, dns::kExposeOwner, words));
  const char* const query = settings.flag("without-masquerade") ? "?skipNAT=true" : "";
  for (const Cidr& address : addresses) {
    (void)WEFT_TRY(ask_agent(settings, "POST", path_of(address) + query, kExposeTimeoutSeconds));
  }
  if (settings.text("fqdn").empty()) {
    return addresses;
  }
  const std::string fqdn = WEFT_TRY(name_to_give(settings, settings.text("fqdn")));
  for (const Cidr& address : addresses) {
    (void)WEFT_TRY(ask_agent(settings,
                             "PUT",
                             fmt::format("/name/{}/{}?fqdn={}",
                                         dns::kExposeOwner,
                                         address.address().to_string(),
                                         encode_percent(fqdn)),
                             kExposeTimeoutSeconds));
  }
  return addresses;
}

Result<std::vector<Cidr>> hide(const Settings& settings) {
  const std::vector<AddressWord> words = WEFT_TRY(words_of(settings));
  std::vector<Cidr> addresses = WEFT_TRY(look_up_addresses(settings, dns::kExposeOwner, words));
  for (const Cidr& address : addresses) {
    (void)WEFT_TRY(ask_agent(settings, "DELETE", path_of(address), kExposeTimeoutSeconds));
    const auto unnamed =
        ask_agent(settings,
                  "DELETE",
                  fmt::format("/name/{}/{}", dns::kExposeOwner, address.address().to_string()),
                  kExposeTimeoutSeconds);
    if (!unnamed.ok() && unnamed.error().code != Errc::NotFound) {  // 404: DNS is off.
      return unnamed.error();
    }
  }
  WEFT_TRY(give_back_addresses(settings, dns::kExposeOwner, words));
  return addresses;
}

}  // namespace

ExitCode run_expose(const Settings& settings) {
  return report_addresses(expose(settings));
}

ExitCode run_hide(const Settings& settings) {
  return report_addresses(hide(settings));
}

}  // namespace weft::agent
