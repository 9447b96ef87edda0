#include "app/routes.h"

#include <gtest/gtest.h>

#include "app/request.h"
#include "tests/unit/openapi.h"

namespace weft::app {
namespace {

Result<Call> call(std::string_view method, const std::string& target) {
  return find_call(method, parse_target(target).value().path);
}

TEST(Routes, AreThoseOfTheDocumentAndNoOthers) {
  EXPECT_EQ(documented_calls(WEFT_DOCS_DIR "/openapi-ui.yaml"), served_calls(routes()));
}

// A row that another one hides would be documented and never answered.
TEST(Routes, AreEachFoundByWhatTheyName) {
  for (const Route& route : routes()) {
    const auto found = call(route.method, std::string(route.path));
    ASSERT_TRUE(found.ok()) << route.path;
    EXPECT_EQ(found.value(), route.call) << route.method << " " << route.path;
  }
}

TEST(Routes, TakeAnyPartWhereOneIsNamed) {
  EXPECT_EQ(call("GET", "/api/topology/hosts").value(), Call::Topology);
  EXPECT_EQ(call("HEAD", "/api/topology/hosts").value(), Call::Topology);
  EXPECT_EQ(call("GET", "/api/topology/containers/a%2Fb;%3Ccontainer%3E").value(), Call::Node);
  EXPECT_EQ(call("GET", "/api/topology/containers/ws").value(), Call::Stream);
  EXPECT_EQ(call("DELETE", "/api/pipe/p1").value(), Call::PipeEnd);
}

TEST(Routes, SayWhetherThePathOrTheMethodIsWrong) {
  for (const char* target : {"/", "/api/report/x", "/apis", "/api/topology/a/b/c", "/login/x"}) {
    EXPECT_EQ(call("GET", target).error().code, Errc::NotFound) << target;
  }
  const auto wrong = call("PUT", "/api/pipe/p1");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Errc::Invalid);
  EXPECT_EQ(wrong.error().what, "this path takes GET, POST, DELETE alone");
}

TEST(Routes, SayErrorsAsAJsonString) {
  EXPECT_EQ(error_body("a \"quoted\" name\n"), R"("a \"quoted\" name\n")");
}

}  // namespace
}  // namespace weft::app
