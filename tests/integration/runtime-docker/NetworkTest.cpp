/// Networks on a real engine: made once, kept while used, made again when lost.
#include "TestEngine.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;

namespace {

TestEngine &engine() {
  return TestEngine::get(TEST_ENGINE);
}

std::string create(const std::string &name, const std::string &network) {
  const Within call;
  return at(engine().client().create(call.abi(), json::dump(*engine().spec(engine().unique(name), network))), "ref")
      .toString();
}

} // namespace

TEST_CASE("many creators make one network") {
  constexpr int kCreators = 8;
  const std::string network = engine().unique("race");
  std::vector<std::thread> threads;
  std::vector<std::string> refs(kCreators);
  std::atomic<int> failures{0};
  for (int i = 0; i < kCreators; ++i) {
    threads.emplace_back([&, i] {
      mos_error error{};
      const mos_status status =
          guarded(&error, [&] { refs[static_cast<std::size_t>(i)] = create("race-" + std::to_string(i), network); });
      if (status != MOS_OK) {
        ++failures;
        MESSAGE(error.message);
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(failures == 0);
  const Within call;
  CHECK(engine().api().listNetworksNamed(Call(call.abi()), network).size() == 1);
  for (const std::string &ref : refs)
    engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE);
  engine().client().remove(call.abi(), refs[0], MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(engine().api().listNetworksNamed(Call(call.abi()), network).empty());
}

TEST_CASE("a network that a stopped container needs is not removed") {
  const Within call;
  const std::string network = engine().unique("kept");
  const std::string stays = create("kept-1", network);
  const std::string goes = create("kept-2", network);
  engine().client().start(call.abi(), stays);
  engine().client().stop(call.abi(), stays, std::chrono::seconds{2});
  engine().client().remove(call.abi(), goes, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(engine().api().inspectNetwork(Call(call.abi()), network));
  engine().client().remove(call.abi(), stays, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  CHECK_FALSE(engine().api().inspectNetwork(Call(call.abi()), network));
}

TEST_CASE("creators and removers of one network do not hurt each other") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5;
  const std::string network = engine().unique("churn");
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        mos_error error{};
        const mos_status status = guarded(&error, [&] {
          const Within call;
          const std::string ref = create("churn-" + std::to_string(i) + "-" + std::to_string(round), network);
          engine().client().start(call.abi(), ref);
          engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
        });
        if (status != MOS_OK) {
          ++failures;
          MESSAGE(error.message);
        }
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(failures == 0);
  const Within call;
  CHECK_FALSE(engine().api().inspectNetwork(Call(call.abi()), network));
}

TEST_CASE("a container whose network was removed behind its back starts again") {
  // Podman refuses to remove a network that a container knows.
  if (std::string(TEST_ENGINE) == "podman") return;
  const Within call;
  const std::string network = engine().unique("lost");
  const std::string ref = create("lost", network);
  engine().client().start(call.abi(), ref);
  engine().client().stop(call.abi(), ref, std::chrono::seconds{2});
  SUBCASE("and nobody made it anew") {
    engine().api().removeNetwork(Call(call.abi()), network);
  }
  SUBCASE("and somebody made it anew") {
    engine().api().removeNetwork(Call(call.abi()), network);
    engine().api().createNetwork(Call(call.abi()), network, "bridge",
                                 {{label::kInstallId, engine().settings().installId}});
  }
  engine().client().start(call.abi(), ref);
  const auto endpoints = json::parse(engine().client().endpoints(call.abi(), ref)).extract<json::Array::Ptr>();
  REQUIRE(endpoints->size() == 1);
  CHECK(
      eventually([&] { return httpGet(endpoints->getObject(0)->getValue<std::string>("address"), 4000) == "tenant"; }));
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("a container that was taken off its network joins it again when it is started, running or not") {
  const Within call;
  const std::string network = engine().unique("taken");
  const std::string ref = create("taken", network);
  engine().client().start(call.abi(), ref);
  SUBCASE("while it runs") {
    engine().api().disconnectNetwork(Call(call.abi()), network, ref);
  }
  SUBCASE("while it is stopped") {
    engine().client().stop(call.abi(), ref, std::chrono::seconds{2});
    engine().api().disconnectNetwork(Call(call.abi()), network, ref);
  }
  SUBCASE("while it runs, and the network is gone as well") {
    engine().api().disconnectNetwork(Call(call.abi()), network, ref);
    engine().api().removeNetwork(Call(call.abi()), network);
  }
  const std::string description = engine().client().startDescribed(call.abi(), ref);
  const auto endpoints = at(description, "endpoints").extract<json::Array::Ptr>();
  REQUIRE(endpoints->size() == 1);
  CHECK(
      eventually([&] { return httpGet(endpoints->getObject(0)->getValue<std::string>("address"), 4000) == "tenant"; }));
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}
