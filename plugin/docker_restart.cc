// What is left of networks and endpoints by an agent, or by an engine, that ended.
#include <utility>

#include "base/assert.h"
#include "plugin/docker_networks.h"

namespace weft::plugin {
namespace {

using State = EndpointRecord::State;

template <class Record>
Result<std::map<std::string, Record>> load_table(const StoreTable& table,
                                                 Result<Record> (*decode)(ByteView)) {
  std::map<std::string, Record> records;
  for (const auto& [key, row] : table) {
    const std::string id(as_text(key));
    auto record = decode(row);
    if (!record.ok()) {
      return std::move(record).error().with_context(id);
    }
    records.emplace(id, std::move(record).value());
  }
  return records;
}

}  // namespace

Result<Ok> DockerNetworks::load(const DockerDriver::Stored& stored) {
  auto networks = load_table<NetworkRecord>(stored.networks, decode_network_record);
  if (!networks.ok()) {
    return std::move(networks).error().with_context(kNetworksTable);
  }
  auto endpoints = load_table<EndpointRecord>(stored.endpoints, decode_endpoint_record);
  if (!endpoints.ok()) {
    return std::move(endpoints).error().with_context(kEndpointsTable);
  }
  networks_ = std::move(networks).value();
  for (auto& [id, record] : endpoints.value()) {
    auto is_free = check_free(id, record);
    if (!is_free.ok()) {
      return std::move(is_free).error().with_context(id).with_context(kEndpointsTable);
    }
    if (record.state == State::Creating) {
      record.state = State::Created;
    }
    endpoints_.emplace(id, std::move(record));
  }
  return Ok{};
}

void DockerNetworks::start(DockerActions& out) {
  WEFT_ASSERT(!started_);
  started_ = true;
  out.push_back(SetGateways{gateways()});
  StoreBatch batch;
  for (auto endpoint = endpoints_.begin(); endpoint != endpoints_.end();) {
    const auto& [id, record] = *endpoint;
    if (record.state != State::Removing) {
      out.push_back(PlugPort{RequestId(0), record.port(id)});
      ++endpoint;
      continue;
    }
    out.push_back(UnplugPort{RequestId(0), record.port(id)});
    batch.push_back(erase_endpoint(id));
    endpoint = endpoints_.erase(endpoint);
  }
  if (!batch.empty()) {
    out.push_back(Persist{std::move(batch)});
  }
}

void DockerNetworks::on_engine_started(Scope scope, DockerActions& out) {
  std::vector<std::string> left;
  for (const auto& [id, record] : endpoints_) {
    if (record.state == State::Created && scope_of(record.network) == scope) {
      left.push_back(id);
    }
  }
  forget(left, {}, out);
}

}  // namespace weft::plugin
