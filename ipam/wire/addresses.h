// Addresses and runs of them as fields of proto/ipam.proto: 32 bits where they are of IPv4, 16
// octets in a second field where they are of IPv6; the other field is absent. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <google/protobuf/repeated_field.h>

#include "base/result.h"
#include "ipam/number.h"
#include "ipam/span.h"

namespace weft::ipam {

// Precondition: an IPv4 address.
std::uint32_t v4_of(Uint128 number);
// Precondition: an IPv6 address.
void append_v6(Uint128 number, std::string& out);
Result<Uint128> to_number(std::uint32_t v4, std::string_view v6);

using WireBounds = google::protobuf::RepeatedField<std::uint32_t>;

void fill_spans(const IntervalSet& set, WireBounds& out, std::string& out_v6);
// Fails unless the runs ascend, are disjoint and no more than a ring has entries.
Result<IntervalSet> to_spans(const WireBounds& in, std::string_view in_v6);

}  // namespace weft::ipam
