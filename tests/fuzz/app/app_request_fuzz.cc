// A browser that says anything: request targets, streams, Host and Origin headers. One line each:
// the first letter says what the rest is.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "app/app.h"
#include "app/login.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "probe/report/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weft::PeerName self(1);
  weft::app::App app({.self = self, .version = "0.1.0", .hostname = "h1"});
  weft::app::AppActions out;
  weft::TimePoint now(std::chrono::seconds(1));
  weft::probe::HostReport report;
  report.origin = self;
  std::string_view text = weft::as_text({data, size});
  std::uint64_t id = 0;
  while (!text.empty() && id < 64) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const char kind = line.empty() ? 'p' : line.front();
    const std::string_view rest = line.empty() ? line : line.substr(1);
    ++id;
    now += std::chrono::milliseconds(100);
    switch (kind) {
      case 'c':
        (void)app.on_client(now, weft::app::ClientId(id), rest, out);
        break;
      case 'g':
        app.on_client_gone(weft::app::ClientId(id - 1));
        break;
      case 'o':
        (void)weft::app::check_origin({.host = rest.substr(0, rest.find(' ')),
                                       .origin = rest.substr(std::min(rest.size(), rest.find(' '))),
                                       .forwarded_host = weft::app::last_item(rest)},
                                      weft::app::Names::Addresses);
        (void)weft::app::client_behind(weft::Ip(), rest, std::vector{weft::Cidr(weft::Ip(), 0)});
        break;
      case 'k':
        (void)weft::app::cookie_value(rest, weft::app::kSessionCookie);
        (void)weft::app::credentials_of_form(rest);
        break;
      case 'a':
        (void)weft::app::parse_accounts(rest);
        break;
      case 'p':
        app.on_peers(now, {{self, "h1", true}}, out);
        report.sequence = id;
        report.host.name = std::string(rest);
        weft::probe::enforce_limits(report);
        app.on_report(now, self, weft::probe::encode_report(report), out);
        break;
      case 'r':
        app.on_report(now, self, weft::as_bytes(rest), out);
        break;
      default:
        app.on_request(now, weft::RequestId(id), rest, out);
        break;
    }
    app.on_deadline(now, out);
    app.check_invariants();
  }
  app.on_deadline(now + std::chrono::seconds(2), out);
  // Whoever asked has been answered.
  std::size_t answers = 0;
  for (const weft::app::AppAction& action : out) {
    answers += std::holds_alternative<weft::app::Respond>(action) ? 1U : 0U;
  }
  WEFT_ASSERT(answers == app.stats().requests);
  return 0;
}
