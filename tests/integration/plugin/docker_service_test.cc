// The DockerDriver on a real Unix socket, called over HTTP.
#include "plugin/io/docker_service.h"

#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/overloaded.h"
#include "sys/http_server.h"

namespace weft::plugin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kTimeoutSeconds = 10;

class DockerServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft-docker-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    socket_ = folder_ / "plugins" / "weft.sock";
    const Cidr range = Cidr::parse("10.32.0.0/12").value();
    auto driver = DockerDriver::create({.default_subnet = range, .range = range}, {});
    ASSERT_TRUE(driver.ok());
    auto service =
        DockerService::start(context_.get_executor(),
                             {.socket = socket_.string()},
                             std::move(driver).value(),
                             [this](DockerAction action) { on_action(std::move(action)); });
    ASSERT_TRUE(service.ok()) << service.error().what;
    service_ = std::move(service).value();
    thread_ = std::thread([this] { context_.run(); });
  }

  void TearDown() override {
    on_strand([this] { service_.reset(); });
    work_.reset();
    thread_.join();
    std::filesystem::remove_all(folder_);
  }

  sys::HttpResponse call(const std::string& path, const std::string& body) {
    auto response = sys::http_call(socket_.string(), "POST", path, body, kTimeoutSeconds);
    EXPECT_TRUE(response.ok()) << response.error().what;
    return response.ok() ? std::move(response).value() : sys::HttpResponse{};
  }

  // Runs on the service's thread and returns once it has.
  template <class Work>
  void on_strand(Work work) {
    std::promise<void> done;
    boost::asio::post(context_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  void on_action(DockerAction action) {
    std::visit(overloaded{
                   [this](AllocateAddress&& ask) {
                     log_.push_back("allocate");
                     const Cidr given(Ip(Ipv4(0x0a200001U)), ask.subnet.prefix());
                     if (answers_at_once_) {
                       service_->on_address(ask.call, given);
                       return;
                     }
                     boost::asio::post(context_, [this, call = ask.call, given] {
                       service_->on_address(call, given);
                     });
                   },
                   [this](ClaimAddress&& ask) {
                     log_.push_back("claim");
                     service_->on_address(ask.call, Error{Errc::Conflict, "held by peer two"});
                   },
                   [](CancelAddress&&) {},
                   [this](ReleaseAddress&& release) {
                     log_.push_back("release " + release.address.to_string());
                   },
                   [this](PlugPort&& plug) {
                     log_.push_back("plug");
                     service_->on_plugged(plug.call, Ok{});
                   },
                   [this](UnplugPort&& unplug) {
                     log_.push_back("unplug");
                     service_->on_plugged(unplug.call, Ok{});
                   },
                   [this](SetGateways&&) {
                     // The first is from within start().
                     boost::asio::post(context_, [this] { service_->on_gateways(Ok{}); });
                   },
                   [this](Persist&&) { log_.push_back("persist"); },
                   [](HttpReply&&) { FAIL() << "the service sends replies itself"; },
               },
               std::move(action));
  }

  std::filesystem::path folder_;
  std::filesystem::path socket_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
      boost::asio::make_work_guard(context_);
  bool answers_at_once_ = true;
  std::vector<std::string> log_;  // Of the service's thread.
  std::unique_ptr<DockerService> service_;
  std::thread thread_;
};

constexpr const char* kCreate =
    R"({"NetworkID":"net1","EndpointID":"ep1","Interface":{"Address":"10.32.0.1/12"}})";

TEST_F(DockerServiceTest, AnswersOnTheSocketItMadeWithDockersContentType) {
  const sys::HttpResponse response = call("/Plugin.Activate", "");

  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.body, R"({"Implements":["NetworkDriver","IpamDriver"]})");
  EXPECT_EQ(response.content_type, "application/vnd.docker.plugins.v1.1+json");
}

TEST_F(DockerServiceTest, CarriesStatusAndReasonOfFailures) {
  const sys::HttpResponse unknown = call("/NetworkDriver.Teleport", "{}");
  const sys::HttpResponse malformed = call("/NetworkDriver.CreateEndpoint", "{");
  const sys::HttpResponse failed =
      call("/IpamDriver.RequestAddress",
           R"({"PoolID":"weft-10.32.0.0/12","Address":"10.32.0.7","Options":null})");

  EXPECT_EQ(unknown.status, 404U);
  EXPECT_EQ(malformed.status, 400U);
  EXPECT_EQ(failed.status, 500U);
  EXPECT_EQ(failed.body, R"({"Err":"held by peer two"})");
}

TEST_F(DockerServiceTest, AContainersLifePerformsEachActionInTheOrderOfDecisions) {
  EXPECT_EQ(call("/NetworkDriver.CreateNetwork", R"({"NetworkID":"net1"})").body, "{}");
  EXPECT_EQ(call("/IpamDriver.RequestAddress", R"({"PoolID":"weft-10.32.0.0/12"})").body,
            R"({"Address":"10.32.0.1/12","Data":{}})");
  EXPECT_EQ(call("/NetworkDriver.CreateEndpoint", kCreate).body,
            R"({"Interface":{"MacAddress":"02:57:0a:20:00:01"}})");
  EXPECT_EQ(
      call("/NetworkDriver.DeleteEndpoint", R"({"NetworkID":"net1","EndpointID":"ep1"})").body,
      "{}");
  EXPECT_EQ(
      call("/IpamDriver.ReleaseAddress", R"({"PoolID":"weft-10.32.0.0/12","Address":"10.32.0.1"})")
          .body,
      "{}");

  on_strand([this] {
    EXPECT_THAT(log_,
                ElementsAre("persist",
                            "allocate",
                            "persist",
                            "plug",
                            "persist",
                            "unplug",
                            "persist",
                            "release 10.32.0.1",
                            "release 10.32.0.1"));
    EXPECT_THAT(service_->driver().ports(), IsEmpty());
  });
}

TEST_F(DockerServiceTest, AnAddressThatTakesTimeIsWaitedFor) {
  on_strand([this] { answers_at_once_ = false; });

  EXPECT_EQ(call("/IpamDriver.RequestAddress", R"({"PoolID":"weft-10.32.0.0/12"})").body,
            R"({"Address":"10.32.0.1/12","Data":{}})");
}

TEST_F(DockerServiceTest, AStoppedServiceLeavesNoSocketForDockerToWaitOn) {
  ASSERT_TRUE(std::filesystem::exists(socket_));

  on_strand([this] { service_.reset(); });

  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST(DockerServiceStart, AFolderThatCannotBeMadeIsAnError) {
  boost::asio::io_context context;
  const Cidr range = Cidr::parse("10.32.0.0/12").value();
  auto driver = DockerDriver::create({.default_subnet = range, .range = range}, {});

  const auto service = DockerService::start(context.get_executor(),
                                            {.socket = "/proc/weft/weft.sock"},
                                            std::move(driver).value(),
                                            [](DockerAction) {});

  ASSERT_FALSE(service.ok());
  EXPECT_EQ(service.error().code, Errc::Os);
}

}  // namespace
}  // namespace weft::plugin
