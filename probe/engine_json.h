// What a Docker engine answers, as containers. Pure and total: an odd field is left out, an answer
// that is not what the API promises is an Error.
// Source: https://docs.docker.com/engine/api/v1.41/ (ContainerList, ContainerInspect).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "probe/report/report.h"

namespace weft::probe {

// Of GET /containers/json?all=1. By id. Secrets in labels and commands are masked.
Result<std::vector<ContainerFacts>> parse_container_list(std::string_view body);

// The host name of GET /containers/<id>/json, which the list does not have.
Result<std::string> parse_container_hostname(std::string_view body);

// The container a process is in, from its cgroup's path: Docker, containerd, Podman and CRI-O all
// end it in the 64 hexadecimal digits of the id, which is the part of `path` given. Empty if there
// are none.
std::string_view container_of_cgroup(std::string_view path);

}  // namespace weft::probe
