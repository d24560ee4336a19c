// A plugin that is one runtime: its live keys, and what it does before anything else once its engine is there.
#include "support/Errors.h"
#include "support/FakeHost.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/managed_runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

using namespace matrixos;
using namespace matrixos::test;
using std::chrono::milliseconds;

namespace {

/// What outlives the plugin. An instance answers only to who has greeted it.
struct Engine {
  std::mutex mutex;
  bool away = false;
  bool deaf = false;                                          ///< there, but no greeting works
  std::set<std::string> alive, greeted;                       ///< tokens
  std::vector<std::map<std::string, std::string>> recoveries; ///< what each was given: name → token
  std::vector<std::string> words;                             ///< that instances were started with
};

Engine *world = nullptr;

class Lantern : public ManagedRuntime {
public:
  static constexpr const char *kInstance = "lantern";
  explicit Lantern(const mos_host_v1 *host) : ManagedRuntime({stateDir(host, "lantern"), milliseconds{5}}) {}
  ~Lantern() override { close(); }

  void reconfigure(const Config &config) override {
    const std::string word = config.getString("word");
    if (word.empty()) throw Error(Status::InvalidArgument, "the word is empty");
    const std::lock_guard lock(world->mutex);
    word_ = word;
  }

protected:
  EngineInfo engine(const Call &) override {
    const std::lock_guard lock(world->mutex);
    if (world->away) throw Error(Status::Unavailable, "nobody is there", MOS_REASON_ENGINE_UNREACHABLE);
    return {"lantern", "1"};
  }
  void recover(const Call &call, const std::vector<Instance> &known) override {
    CHECK(call.deadlineNanos() != MOS_NO_DEADLINE);
    const std::lock_guard lock(world->mutex);
    std::map<std::string, std::string> given;
    for (const Instance &instance : known)
      given[instance.spec.name] = instance.token;
    world->recoveries.push_back(given);
    if (world->deaf) throw Error(Status::Unavailable, "it does not listen");
    world->greeted = world->alive;
  }
  std::string launch(const Call &, const Instance &instance) override {
    const std::lock_guard lock(world->mutex);
    world->words.push_back(word_);
    world->alive.insert(instance.spec.name);
    world->greeted.insert(instance.spec.name);
    return instance.spec.name;
  }
  bool isAlive(const Instance &instance) override {
    const std::lock_guard lock(world->mutex);
    if (world->away) throw Error(Status::Unavailable, "nobody is there");
    return world->greeted.count(instance.token) != 0;
  }
  void end(const Call &, const Instance &instance, milliseconds) override {
    const std::lock_guard lock(world->mutex);
    world->alive.erase(instance.token);
    world->greeted.erase(instance.token);
  }

private:
  std::string word_;
};

struct Fixture {
  TempDir dir;
  Engine state;
  FakeHost host;
  std::unique_ptr<RuntimePlugin<Lantern>> plugin;
  CallScope scope{kPatience};

  Fixture() {
    world = &state;
    host.setInfo(R"({"dataDir":")" + dir.path().string() + R"("})");
    host.set("word", "first");
    begin();
  }
  ~Fixture() { end(); }
  void begin() {
    plugin = std::make_unique<RuntimePlugin<Lantern>>(host.abi());
    plugin->start();
  }
  void end() {
    if (plugin) plugin->stop();
    plugin.reset();
  }
  /// As after a restart of the machine that the engine runs on: it has to be greeted anew.
  void forget(bool away) {
    const std::lock_guard lock(state.mutex);
    state.greeted.clear();
    state.away = away;
  }
  void set(bool Engine::*what, bool value) {
    const std::lock_guard lock(state.mutex);
    state.*what = value;
  }
  RuntimeClient runtime() const { return RuntimeClient(host.provided<mos_runtime_v1>(MOS_RUNTIME_1, "lantern")); }
  void up(const std::string &name) {
    runtime().create(scope.abi(), R"({"name":")" + name + R"(","image":"demo"})");
    runtime().start(scope.abi(), name);
  }
  std::string stateOf(const std::string &name) const {
    return managed::text(managed::parseObject(runtime().inspect(scope.abi(), name)), "state");
  }
  std::map<std::string, std::string> listed() const {
    std::map<std::string, std::string> states;
    runtime().list(scope.abi(), "{}", [&](std::string_view item) {
      const managed::Json instance = managed::parseObject(item);
      states[managed::text(instance, "name")] = managed::text(instance, "state");
      return true;
    });
    return states;
  }
  std::size_t recoveries() {
    const std::lock_guard lock(state.mutex);
    return state.recoveries.size();
  }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "runtime plugin: live keys are there from the start, and anew after a reload") {
  up("alice");
  host.set("word", "second");
  plugin->reconfigure();
  up("bob");
  host.set("word", "");
  CHECK(errorOf([&] { plugin->reconfigure(); }).what() == std::string("the word is empty"));
  up("carol");
  CHECK(state.words == std::vector<std::string>{"first", "second", "second"});
  CHECK(recoveries() == 1);
}

TEST_CASE_FIXTURE(Fixture, "runtime plugin: what is on record is taken up again before anything is compared") {
  up("alice");
  up("bob");
  runtime().stop(scope.abi(), "bob", milliseconds{0});
  end();
  forget(false);
  begin();
  CHECK(recoveries() == 2);
  CHECK(state.recoveries.back() == std::map<std::string, std::string>{{"alice", "alice"}, {"bob", ""}});
  CHECK(listed() == std::map<std::string, std::string>{{"alice", "running"}, {"bob", "exited"}});
}

TEST_CASE_FIXTURE(Fixture, "runtime plugin: an engine that was away is taken up again once, by whoever notices first") {
  up("alice");
  forget(true);
  CHECK(errorOf([&] { listed(); }).reason() == MOS_REASON_ENGINE_UNREACHABLE);
  CHECK(recoveries() == 1);
  set(&Engine::deaf, true);
  set(&Engine::away, false);
  // Without a call, too; and a greeting that fails is repeated, and nobody is said to have died meanwhile.
  REQUIRE(eventually([&] { return recoveries() >= 3; }));
  CHECK(errorOf([&] { runtime().start(scope.abi(), "alice"); }).what() == std::string("it does not listen"));
  CHECK(errorOf([&] { listed(); }).status() == Status::Unavailable);
  set(&Engine::deaf, false);
  CHECK(listed() == std::map<std::string, std::string>{{"alice", "running"}});
  const std::size_t soFar = recoveries();
  CHECK(stateOf("alice") == "running");
  up("bob");
  CHECK(recoveries() == soFar);
}

TEST_CASE_FIXTURE(Fixture, "runtime plugin: an engine that is away at the start is taken up when it comes") {
  up("alice");
  end();
  forget(true);
  begin();
  CHECK(recoveries() == 1);
  CHECK(errorOf([&] { stateOf("alice"); }).status() == Status::Unavailable);
  CHECK(errorOf([&] { up("bob"); }).status() == Status::Unavailable);
  set(&Engine::away, false);
  REQUIRE(eventually([&] { return recoveries() == 2; }));
  CHECK(stateOf("alice") == "running");
  up("bob");
  CHECK(recoveries() == 2);
}
