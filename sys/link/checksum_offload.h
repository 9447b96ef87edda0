// Whether a device computes the checksums of what is sent through it (ethtool's "tx-checksumming").
// Without, the kernel does so before the device gets a packet, and cuts super-frames itself.
#pragma once

#include <string>

#include "base/result.h"

namespace weft::sys {

Result<bool> has_checksum_offload(const std::string& link);
// For all that the device sends, whoever sends it. Fails where the device knows no other way.
Result<Ok> set_checksum_offload(const std::string& link, bool enabled);

}  // namespace weft::sys
