#include "agent/docker/plugin_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using plugin::Scope;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const std::map<std::string, Scope> kWeft{{"/weft.sock", Scope::Local}, {"", Scope::Global}};
const std::map<std::string, Scope> kWeave{{"/weavemesh.sock", Scope::Local},
                                          {"/weave.sock", Scope::Global}};

// Applies it as the store would.
StoreTable after(StoreTable table, const StoreBatch& batch) {
  for (const StoreWrite& write : batch) {
    if (write.value) {
      table[write.key] = *write.value;
    } else {
      table.erase(write.key);
    }
  }
  return table;
}

TEST(PluginSockets, ThoseOfEarlierRunsAreServedWhileThereAreNetworks) {
  const PluginSockets first = claim_plugin_sockets({}, kWeft, false);
  const StoreTable stored = after({}, first.batch);

  const PluginSockets second = claim_plugin_sockets(stored, kWeave, true);
  const StoreTable both = after(stored, second.batch);
  const PluginSockets third = claim_plugin_sockets(both, kWeft, true);

  EXPECT_THAT(first.earlier, IsEmpty());
  EXPECT_THAT(second.earlier, ElementsAre(Pair("/weft.sock", Scope::Local)));
  EXPECT_THAT(
      third.earlier,
      ElementsAre(Pair("/weave.sock", Scope::Global), Pair("/weavemesh.sock", Scope::Local)));
}

TEST(PluginSockets, WithoutNetworksNobodyAsksThere) {
  const StoreTable stored = after({}, claim_plugin_sockets({}, kWeave, true).batch);

  const PluginSockets now = claim_plugin_sockets(stored, kWeft, false);

  EXPECT_THAT(now.earlier, IsEmpty());
  EXPECT_EQ(after(stored, now.batch).size(), 1U);
}

TEST(PluginSockets, NothingIsWrittenThatIsKnown) {
  const StoreTable stored = after({}, claim_plugin_sockets({}, kWeft, false).batch);

  EXPECT_THAT(claim_plugin_sockets(stored, kWeft, true).batch, IsEmpty());
  EXPECT_THAT(claim_plugin_sockets(stored, kWeft, false).batch, IsEmpty());
}

}  // namespace
}  // namespace weft::agent
