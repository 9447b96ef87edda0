// Names one question that is answered later: an HTTP call waiting for an address, say.
// Whoever asks chooses the id; it is unique among that asker's open questions.
#pragma once

#include "base/strong_id.h"

namespace weft {

using RequestId = StrongId<struct RequestIdTag>;

}  // namespace weft
