#include "support/Errors.h"
#include "support/PluginUnderTest.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;

namespace {

struct Host : FakeHost {
  Host() { set("greeting", "hello"); }
  std::string ask(const std::string &id) { return request("GET", "/" + id).body; }
};

} // namespace

TEST_CASE("plugins in C and C++ live their life in a host that knows only the contract") {
  const char *file = nullptr;
  std::string id, answer;
  SUBCASE("C") {
    file = TEST_PLUGIN_C;
    id = "minimal-c";
    answer = R"({"from":"c"})";
  }
  SUBCASE("C++") {
    file = TEST_PLUGIN_CPP;
    id = "minimal-cpp";
    answer = R"({"from":"c++","greeting":"hello"})";
  }
  const mos_descriptor_v1 &descriptor = loadPlugin(file);
  CHECK(descriptor.struct_size == sizeof descriptor);
  CHECK(descriptor.magic == MOS_MAGIC);
  CHECK(descriptor.abi_major == MOS_ABI_MAJOR);
  CHECK(descriptor.id == id);
  for (int life = 0; life < 3; ++life) {
    Host host;
    {
      PluginUnderTest plugin(descriptor, host);
      REQUIRE(plugin.start() == MOS_OK);
      CHECK(host.log() == id + " starts\n");
      CHECK(host.ask(id) == answer);
      CHECK(plugin.stop() == MOS_OK);
    }
    CHECK(host.lines().back().message == id + " stops");
  }
}

TEST_CASE("a host that lacks an interface is told which, and nothing leaks") {
  Host host;
  host.withhold(MOS_HOST_HTTP_1);
  for (const char *file : {TEST_PLUGIN_C, TEST_PLUGIN_CPP}) {
    const Error error = errorOf([&] { PluginUnderTest(loadPlugin(file), host); });
    CHECK(error.status() == Status::FailedPrecondition);
    if (file == std::string(TEST_PLUGIN_CPP))
      CHECK(std::string(error.what()).find(MOS_HOST_HTTP_1) != std::string::npos);
  }
}

TEST_CASE("a plugin takes new settings, and what it throws stays on its side") {
  Host host;
  PluginUnderTest plugin(loadPlugin(TEST_PLUGIN_CPP), host);
  REQUIRE(plugin.start() == MOS_OK);
  host.set("greeting", "good day");
  CHECK(plugin.reconfigure() == MOS_OK);
  CHECK(host.ask("minimal-cpp") == R"({"from":"c++","greeting":"good day"})");
  CHECK(host.metric("matrixos_minimal_requests_total") == 1);
  host.set("greeting", "fail");
  CHECK(plugin.reconfigure() == MOS_INVALID_ARGUMENT);
  CHECK(plugin.reason() == "RUDE");
  host.forgetConfig();
  CHECK(plugin.reconfigure() == MOS_NOT_FOUND);
  CHECK(plugin.stop() == MOS_OK);
}
