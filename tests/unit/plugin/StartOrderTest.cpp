#include "plugin/StartOrder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using matrixos::plugin::Manifest;
using matrixos::plugin::StartOrder;

namespace {

Manifest make(const std::string &id, std::vector<std::string> provides, std::vector<std::string> needs,
              std::vector<std::string> wishes = {}) {
  Manifest m;
  m.id = id;
  for (auto &service : provides)
    m.provides.push_back({service, "", 0});
  for (auto &service : needs)
    m.needs.push_back({service, 0, false});
  for (auto &service : wishes)
    m.needs.push_back({service, 0, true});
  return m;
}

StartOrder order(const std::vector<Manifest> &list) {
  std::vector<const Manifest *> pointers;
  for (const Manifest &m : list)
    pointers.push_back(&m);
  return StartOrder::of(pointers);
}

} // namespace

TEST_CASE("providers start first, ties keep their order") {
  const auto plan = order({make("proxy", {}, {"orchestrator"}, {"lifecycle"}),
                           make("lifecycle", {"lifecycle"}, {"orchestrator"}), make("other", {}, {}),
                           make("orchestrator", {"orchestrator"}, {"runtime"}), make("docker", {"runtime"}, {})});
  CHECK(plan.failures.empty());
  CHECK(plan.order == std::vector<std::string>{"docker", "orchestrator", "lifecycle", "proxy", "other"});
}

TEST_CASE("an optional need may be missing, a required one may not, and failing spreads") {
  const auto plan = order({make("a", {"a"}, {"nothing"}), make("b", {}, {"a"}), make("c", {}, {}, {"a", "nothing"})});
  CHECK(plan.order == std::vector<std::string>{"c"});
  CHECK(plan.failures.at("a") == "it needs nothing, which no enabled plugin provides");
  CHECK(plan.failures.at("b") == "it needs a, whose provider a cannot start");
}

TEST_CASE("a need may name an instance, so that a plugin stands in front of another one") {
  Manifest base = make("lifecycle", {"lifecycle"}, {}), front = make("front", {"lifecycle"}, {"lifecycle"});
  const Manifest user = make("proxy", {}, {"lifecycle"});
  front.needs[0].instance = base.provides[0].instance = "base";
  CHECK(order({user, front, base}).order == std::vector<std::string>{"lifecycle", "front", "proxy"});
  CHECK(order({user, front}).failures.at("front") == "it needs lifecycle:base, which no enabled plugin provides");
}

TEST_CASE("the members of a cycle fail, others start") {
  const auto plan =
      order({make("x", {}, {}), make("a", {"a"}, {"b"}), make("b", {"b"}, {"c"}), make("c", {"c"}, {"a"})});
  CHECK(plan.order == std::vector<std::string>{"x"});
  CHECK(plan.failures.size() == 3);
  CHECK(plan.failures.at("a") == "its needs form a cycle: a → b → c → a");
}

TEST_CASE("a provider whose minor is too low does not count") {
  Manifest old = make("old", {"s"}, {});
  Manifest user = make("user", {}, {});
  user.needs.push_back({"s", 3, false});
  const auto plan = order({old, user});
  CHECK(plan.failures.at("user") == "it needs s of minor 3, but old provides minor 0");
}

TEST_CASE("one of several providers is enough") {
  const auto plan =
      order({make("user", {}, {"runtime"}), make("broken", {"runtime"}, {"nothing"}), make("fine", {"runtime"}, {})});
  CHECK(plan.order == std::vector<std::string>{"fine", "user"});
}

TEST_CASE("of two plugins that claim one name the second does not run, and says who has it") {
  using Claims = std::vector<std::pair<const char *, const char *>>;
  const auto conflict = [](const Claims &first, const Claims &second) {
    Manifest a = make("a", {"a"}, {}), b = make("b", {"b"}, {});
    for (const auto &[kind, pattern] : first)
      a.claims.push_back({kind, pattern, "", ""});
    for (const auto &[kind, pattern] : second)
      b.claims.push_back({kind, pattern, "", ""});
    const auto plan = order({a, b, make("c", {}, {"b"})});
    CHECK(plan.failures.count("a") == 0);
    CHECK(plan.failures.count("b") == plan.failures.count("c"));
    return plan.failures.count("b") == 0 ? std::string() : plan.failures.at("b");
  };
  CHECK(conflict({{"table", "hooks_*"}}, {{"table", "Hooks_sent"}}) ==
        "it claims the table Hooks_sent, and a has hooks_*; enable one of them");
  CHECK_FALSE(conflict({{"table", "hooks_a"}}, {{"table", "hooks_*"}}).empty());
  CHECK_FALSE(conflict({{"topic", "a.*"}}, {{"topic", "a.b.*"}}).empty());
  CHECK_FALSE(conflict({{"path", "/hooks"}}, {{"path", "/hooks/mine"}}).empty());
  CHECK_FALSE(conflict({{"metric", "matrixos_x_total"}}, {{"metric", "matrixos_x_*"}}).empty());
  CHECK(conflict({{"path", "/hooks"}}, {{"path", "/hooks-more"}}).empty());
  CHECK(conflict({{"table", "hooks"}}, {{"topic", "hooks"}}).empty());
  CHECK(conflict({{"topic", "hooks"}}, {{"topic", "Hooks"}}).empty());
  CHECK(conflict({{"table", "hooks_a"}}, {{"table", "hooks_b*"}}).empty());
}
