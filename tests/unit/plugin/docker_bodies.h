// dockerd 20.10's bodies, as captured from one, with the parts that vary as parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/address.h"
#include "base/bytes.h"

namespace weft::plugin::test {

// Ids as Docker makes them: 64 hexadecimal digits, here all but the first from `fill`.
inline std::string docker_id(char first, char fill) {
  return std::string(1, first) + std::string(63, fill);
}
inline const std::string kNetwork = docker_id('f', '1');
inline const std::string kEndpoint = docker_id('8', '2');

inline std::string pool_body(const std::string& pool,
                             const std::string& sub_pool = "",
                             const std::string& v6 = "false") {
  return R"({"AddressSpace":"weftlocal","Pool":")" + pool + R"(","SubPool":")" + sub_pool
         + R"(","Options":{},"V6":)" + v6 + "}\n";
}
inline std::string address_body(const std::string& pool_id, const std::string& address = "") {
  return R"({"PoolID":")" + pool_id + R"(","Address":")" + address + R"(","Options":null})" + "\n";
}
inline std::string gateway_body(const std::string& pool_id, const std::string& address) {
  return R"({"PoolID":")" + pool_id + R"(","Address":")" + address
         + R"(","Options":{"RequestAddressType":"com.docker.network.gateway"}})" + "\n";
}
inline std::string network_body(const std::string& id,
                                const std::string& options = "{}",
                                const std::string& gateway = "10.32.0.0/12") {
  return R"({"NetworkID":")" + id
         + R"(","Options":{"com.docker.network.enable_ipv6":false,)"
           R"("com.docker.network.generic":)"
         + options + R"(},"IPv4Data":[{"AddressSpace":"weftlocal","Gateway":")" + gateway
         + R"(","Pool":"10.32.0.0/12"}],"IPv6Data":[]})" + "\n";
}
inline std::string create_body(const std::string& network,
                               const std::string& endpoint,
                               const std::string& address,
                               const std::string& mac = "") {
  return R"({"NetworkID":")" + network + R"(","EndpointID":")" + endpoint
         + R"(","Interface":{"Address":")" + address + R"(","AddressIPv6":"","MacAddress":")" + mac
         + R"("},"Options":{"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}],)"
           R"("com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"",)"
           R"("HostPort":8080,"HostPortEnd":8080}]}})"
         + "\n";
}
inline std::string endpoint_body(const std::string& network, const std::string& endpoint) {
  return R"({"NetworkID":")" + network + R"(","EndpointID":")" + endpoint + "\"}\n";
}
inline std::string join_body(const std::string& network,
                             const std::string& endpoint,
                             const std::string& sandbox = "/var/run/docker/netns/b5279d6b79e5",
                             const std::string& ports = "[]") {
  return R"({"NetworkID":")" + network + R"(","EndpointID":")" + endpoint + R"(","SandboxKey":")"
         + sandbox + R"(","Options":{"com.docker.network.endpoint.exposedports":[],)"
         + R"("com.docker.network.portmap":)" + ports + "}}\n";
}

// The nth address of a block; of IPv6 the low 32 bits are enough for tests.
inline Ip nth(const Cidr& block, std::uint32_t n) {
  if (block.is_v4()) {
    return Ipv4(block.first().v4().number() + n);
  }
  Bytes octets = block.first().bytes();
  for (std::size_t i = 0; i < sizeof n; ++i) {
    octets[15 - i] = static_cast<std::uint8_t>(n >> 8 * i);
  }
  return Ip::from_bytes(octets).value();
}

}  // namespace weft::plugin::test
