// Uses the service as another plugin would: through the proxy that the host makes of its description.
#include "service-template.h"

#include <matrixos/testing.hpp>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

using matrixos::testing::Host;

namespace {

std::string count(const service_template_v1 &service, std::string_view text) {
  const matrixos::CallScope call(std::chrono::seconds{5}); // the deadline
  matrixos::Buffer out;
  matrixos::check([&](mos_error *error) {
    return service.count(service.self, call.abi(), matrixos::toAbi(text), out.out(), error);
  });
  return out.str();
}

} // namespace

TEST_CASE("words are counted, and the total survives a restart") {
  Host host(PLUGIN);
  host.start();
  {
    const auto service = host.lease<service_template_v1>(SERVICE_TEMPLATE_1);
    CHECK(count(*service, "one two") == R"({"words":2,"total":2})");
    CHECK(count(*service, "  three  ") == R"({"words":1,"total":3})");
  }
  host.restart();
  CHECK(count(*host.lease<service_template_v1>(SERVICE_TEMPLATE_1), "four") == R"({"words":1,"total":4})");
  CHECK(host.faults() == "");
  host.stop(); // throws when something is left behind
}

TEST_CASE("a text without words is refused") {
  Host host(PLUGIN);
  host.start();
  CHECK_THROWS_WITH(count(*host.lease<service_template_v1>(SERVICE_TEMPLATE_1), " "), "the text has no words");
  host.stop();
}

TEST_CASE("no word is lost when many count at once") {
  Host host(PLUGIN);
  host.start();
  const auto service = host.lease<service_template_v1>(SERVICE_TEMPLATE_1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k)
        count(*service, "a b");
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(count(*service, "last") == R"({"words":1,"total":41})");
  host.stop();
}
