// Which of this host's addresses other peers may reach it at.
#pragma once

#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "sys/netdev.h"

namespace weft::agent {

// Best first: the addresses of the device with the default route, then the others. With a specific
// `host` only that. Loopback, link-local addresses, our own links and Docker's bridges are no
// underlay.
Result<std::vector<Ip>> underlay_addresses(sys::Netdev& netdev, const Ip& host);

}  // namespace weft::agent
