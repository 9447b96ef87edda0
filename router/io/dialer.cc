#include "router/io/dialer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "router/io/asio_address.h"

namespace weft::router {

namespace asio = boost::asio;

namespace {

// A name may have many addresses; more than these do not fit into the time the mesh gives a dial.
constexpr std::size_t kCandidatesMax = 8;
// RFC 8305, section 5: the recommended delay between two attempts.
constexpr std::chrono::milliseconds kAttemptDelay{250};

}  // namespace

std::vector<Endpoint> in_dial_order(const std::vector<Endpoint>& addresses, const Ip& source) {
  std::deque<Endpoint> first;
  std::deque<Endpoint> second;
  for (const Endpoint& address : addresses) {
    const bool reachable = source.is_unspecified() || source.is_v4() == address.address.is_v4();
    const auto is_same = [&](const Endpoint& known) { return known == address; };
    if (!reachable || std::any_of(first.begin(), first.end(), is_same)
        || std::any_of(second.begin(), second.end(), is_same)) {
      continue;
    }
    const bool leads = first.empty() || first.front().address.is_v4() == address.address.is_v4();
    (leads ? first : second).push_back(address);
  }
  std::vector<Endpoint> order;
  while (order.size() < kCandidatesMax && !(first.empty() && second.empty())) {
    std::deque<Endpoint>& next =
        second.empty() || (!first.empty() && order.size() % 2 == 0) ? first : second;
    order.push_back(next.front());
    next.pop_front();
  }
  return order;
}

void acknowledge_later(asio::ip::tcp::socket& socket) {
  const int off = 0;
  // It only saves packets.
  (void)setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
}

Dialer::Dialer(const asio::any_io_executor& executor, Options options, OnDone on_done)
    : executor_(executor),
      options_(std::move(options)),
      on_done_(std::move(on_done)),
      resolver_(executor),
      timer_(executor) {}

std::shared_ptr<Dialer> Dialer::dial(const asio::any_io_executor& executor,
                                     Options options,
                                     OnDone on_done) {
  const std::shared_ptr<Dialer> dialer(
      new Dialer(executor, std::move(options), std::move(on_done)));
  asio::post(executor, [dialer] { dialer->resolve(); });
  return dialer;
}

void Dialer::cancel() {
  on_done_ = nullptr;
  resolver_.cancel();
  timer_.cancel();
  attempts_.clear();
}

void Dialer::resolve() {
  if (on_done_ == nullptr) {
    return;
  }
  const Result<Ip> literal = Ip::parse(options_.host);
  if (literal.ok()) {  // Needs no resolver, which is a thread.
    begin({{literal.value(), options_.port}});
    return;
  }
  resolver_.async_resolve(options_.host,
                          std::to_string(options_.port),
                          Tcp::resolver::numeric_service,
                          [self = shared_from_this()](const ErrorCode& error, const auto& results) {
                            self->on_resolved(error, results);
                          });
}

void Dialer::on_resolved(const ErrorCode& error, const Tcp::resolver::results_type& results) {
  if (on_done_ == nullptr) {
    return;
  }
  if (error) {
    first_failure_ = "resolve: " + error.message();
  }
  std::vector<Endpoint> addresses;
  for (const auto& result : results) {
    addresses.push_back(from_asio(result.endpoint()));
  }
  begin(std::move(addresses));
}

void Dialer::begin(std::vector<Endpoint> addresses) {
  addresses.insert(addresses.end(), options_.others.begin(), options_.others.end());
  candidates_ = in_dial_order(addresses, options_.source);
  if (candidates_.empty()) {
    const std::string why =
        addresses.empty() ? "the name has no address" : "no address of the family we dial from";
    finish(Error{Errc::NotFound, first_failure_.empty() ? why : first_failure_});
    return;
  }
  try_next();
}

void Dialer::try_next() {
  const std::size_t index = attempts_.size();
  const Tcp::endpoint to(to_asio(candidates_[index].address), candidates_[index].port);
  attempts_.push_back(std::make_unique<Tcp::socket>(executor_));
  if (attempts_.size() < candidates_.size()) {
    timer_.expires_after(kAttemptDelay);
    timer_.async_wait([self = shared_from_this(), index](const ErrorCode& error) {
      if (!error && self->on_done_ != nullptr && self->attempts_.size() == index + 1) {
        self->try_next();
      }
    });
  }
  if (const ErrorCode error = prepare(*attempts_[index], to)) {
    on_attempted(index, error);
    return;
  }
  attempts_[index]->async_connect(to, [self = shared_from_this(), index](const ErrorCode& error) {
    self->on_attempted(index, error);
  });
}

Dialer::ErrorCode Dialer::prepare(Tcp::socket& socket, const Tcp::endpoint& to) const {
  ErrorCode error;
  socket.open(to.protocol(), error);
  if (!error) {
    acknowledge_later(socket);  // The first thing said then acknowledges the connection, too.
  }
  if (!error && !options_.source.is_unspecified()) {
    socket.bind({to_asio(options_.source), 0}, error);
  }
  return error;
}

void Dialer::on_attempted(std::size_t index, const ErrorCode& error) {
  if (on_done_ == nullptr) {
    return;
  }
  if (!error) {
    finish(std::move(*attempts_[index]));
    return;
  }
  ++failed_count_;
  if (index == 0 || first_failure_.empty()) {
    first_failure_ = "connect: " + error.message();
  }
  if (failed_count_ == candidates_.size()) {
    finish(Error{Errc::Unavailable, first_failure_});
  } else if (index + 1 == attempts_.size() && attempts_.size() < candidates_.size()) {
    try_next();
  }
}

void Dialer::finish(Result<Tcp::socket> result) {
  const OnDone on_done = std::exchange(on_done_, nullptr);
  cancel();
  on_done(std::move(result));
}

}  // namespace weft::router
