#include "tests/sim/net.h"

namespace weft::sim {

void Net::detach(const Ip& address, Death death) {
  hosts_.erase(address);
  if (death == Death::Machine) {
    dark_.insert(address);
  }
  for (auto& [id, end] : ends_) {
    if (end.local.address == address && end.open) {
      end.open = false;
      if (death == Death::Process) {
        transmit(id,
                 Segment{.arrives = {}, .bytes = {}, .last = true, .reason = "connection reset"});
      }
    }
  }
}

EndId Net::dial(const Ip& from, Endpoint to) {
  const EndId id(next_end_);
  next_end_ += 2;
  const std::uint16_t port = static_cast<std::uint16_t>(32768 + next_end_ % 28000);
  ends_[id].local = {from, port};
  ends_[id].remote = to;
  ends_[id].open = true;
  ends_[other(id)].local = to;
  ends_[other(id)].remote = {from, port};
  count_packets(1, kSynSize);
  after(delay(ends_[other(id)]), Step::Syn, id);
  return id;
}

void Net::on_event(std::uint64_t what, std::uint64_t detail) {
  const EndId id(detail);
  switch (static_cast<Step>(what)) {
    case Step::Syn:
      on_syn(id);
      return;
    case Step::Refused:
      finish(id, "connection refused");
      return;
    case Step::Stands:
      on_stands(id);
      return;
    case Step::Arrives:
      pump(id);
      return;
  }
}

void Net::on_syn(EndId id) {
  const auto found = ends_.find(id);
  if (found == ends_.end() || !found->second.open) {
    return;  // Given up.
  }
  End& dialler = found->second;
  if (!passes(dialler.local, dialler.remote) || !passes(dialler.remote, dialler.local)) {
    if (++dialler.tries <= 30) {
      after(std::chrono::seconds(1), Step::Syn, id);
    } else {
      finish(id, "connection timed out");
    }
    return;
  }
  const auto listener = hosts_.find(dialler.remote.address);
  if (listener == hosts_.end() || listener->second.port != dialler.remote.port) {
    count_packets(1, kHeaderSize);
    after(delay(dialler), Step::Refused, id);
    return;
  }
  End& acceptor = ends_.at(other(id));
  acceptor.open = true;
  Host* host = listener->second.host;
  count_packets(2, kSynSize + kHeaderSize);
  dialler.ready = world_.now() + delay(dialler);
  schedule(dialler.ready, Step::Stands, id);
  const Endpoint local = acceptor.local;
  const Endpoint remote = acceptor.remote;
  deliver(*host, [=](Host& to) { to.on_accepted(other(id), local, remote); });
}

void Net::on_stands(EndId id) {
  const auto dialled = ends_.find(id);
  if (dialled == ends_.end() || !dialled->second.open) {
    return;
  }
  if (Host* host = host_of(id)) {
    const Endpoint local = dialled->second.local;
    const Endpoint remote = dialled->second.remote;
    deliver(*host, [=](Host& to) { to.on_connected(id, local, remote); });
  }
}

void Net::transmit(EndId from, Segment segment) {
  const EndId to = other(from);
  if (const auto sender = ends_.find(from); sender != ends_.end()) {
    settle_ack(sender->second);
  }
  const std::uint64_t packets =
      segment.last ? 1 : (segment.bytes.size() + kSegmentMax - 1) / kSegmentMax;
  count_packets(packets, packets * kHeaderSize + segment.bytes.size());
  End& end = ends_.at(to);
  segment.arrives = std::max(world_.now() + delay(end), end.ready);
  if (!end.inbound.empty()) {
    segment.arrives = std::max(segment.arrives, end.inbound.back().arrives);
  }
  end.inbound.push_back(std::move(segment));
  if (!end.pumping) {
    end.pumping = true;
    schedule(end.inbound.front().arrives, Step::Arrives, to);
  }
}

void Net::pump(EndId to) {
  const auto at = ends_.find(to);
  if (at == ends_.end()) {
    return;
  }
  End& end = at->second;
  end.pumping = false;
  if (end.inbound.empty()) {
    return;
  }
  if (!passes(end.remote, end.local)) {
    end.pumping = true;
    after(std::chrono::milliseconds(500), Step::Arrives, to);
    return;
  }
  Segment segment = std::move(end.inbound.front());
  end.inbound.pop_front();
  if (end.ack_due <= world_.now()) {
    settle_ack(end);
  }
  end.ack_due = std::min(end.ack_due, world_.now() + kAckDelay);
  if (!end.inbound.empty()) {
    end.pumping = true;
    schedule(std::max(world_.now(), end.inbound.front().arrives), Step::Arrives, to);
  }
  world_.note(to.value() ^ (segment.bytes.size() << 32U)
              ^ static_cast<std::uint64_t>(world_.now().time_since_epoch().count()));
  if (!end.open) {
    if (segment.last) {
      forget(to);
    }
    return;
  }
  if (segment.last) {
    finish(to, segment.reason);
  } else if (Host* host = host_of(to)) {
    if (frozen_.empty() || !frozen_.contains(host)) {
      host->on_bytes(to, segment.bytes);
    } else {
      deliver(*host, [to, bytes = std::move(segment.bytes)](Host& h) { h.on_bytes(to, bytes); });
    }
  }
}

void Net::finish(EndId id, const std::string& reason) {
  const auto at = ends_.find(id);
  if (at == ends_.end()) {
    return;
  }
  const bool was_open = std::exchange(at->second.open, false);
  Host* host = host_of(id);
  // The other end may still be sending; it is told, too.
  const auto peer = ends_.find(other(id));
  if (peer != ends_.end() && !peer->second.open) {
    forget(id);
  }
  if (was_open && host != nullptr) {
    deliver(*host, [id, reason](Host& to) { to.on_closed(id, reason); });
  }
}

}  // namespace weft::sim
