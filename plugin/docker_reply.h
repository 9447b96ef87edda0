// How a call of Docker's ends: with a JSON body now, with nothing yet (an answer of ipam or of the
// port plugger comes first), or with an Error.
#pragma once

#include <optional>
#include <string>

#include "base/request.h"
#include "base/result.h"
#include "plugin/docker.h"

namespace weft::plugin {

using Reply = Result<std::optional<std::string>>;

inline Reply reply_later() {
  return std::optional<std::string>();
}

inline Reply reply_with(std::string body) {
  return std::optional<std::string>(std::move(body));
}

// Malformed calls are 400, those we do not know 404, all that could not be done 500. dockerd shows
// its user "IpamDriver.RequestPool: <what>" for each of them; an error in an answer of status 200
// it ignores in half of the calls (IpamDriver's error field has another name).
HttpReply finish(RequestId call, Reply reply);

}  // namespace weft::plugin
