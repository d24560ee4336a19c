// The layer that keeps a runtime's books, over an engine that is a map in memory.
#include "support/Errors.h"
#include "support/Sockets.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/managed_runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;
using std::chrono::milliseconds;

namespace {

/// What outlives a runtime, as a real engine does.
struct Engine {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> alive;
  std::set<std::string> frozen;
  int launches = 0;
  int ends = 0;
  bool blocked = false;        ///< launch() waits
  int waiting = 0;             ///< how many wait in launch()
  std::string failLaunch;      ///< message of the next launch's failure
  bool failAfterToken = false; ///< ... which comes after the token was kept
  bool dieAtOnce = false;
  std::atomic<bool> away{false};
  std::set<std::string> discarded;

  void kill(const std::string &token) {
    const std::lock_guard lock(mutex);
    alive.erase(token);
  }
  std::size_t running() {
    const std::lock_guard lock(mutex);
    return alive.size();
  }
};

class TestRuntime : public ManagedRuntime {
public:
  TestRuntime(Engine &engine, const TempDir &dir)
      : ManagedRuntime(
            {(dir / "state").string(), milliseconds{5}, [this](const std::string &text) { warnings += text; }, {}}),
        engine_(engine) {}
  ~TestRuntime() override { close(); }

  std::string warnings;

protected:
  EngineInfo engine(const Call &) override {
    if (engine_.away) throw Error(Status::Unavailable, "the engine is away", MOS_REASON_ENGINE_UNREACHABLE);
    EngineInfo info{"test", "1"};
    info.pause = info.stats = true;
    info.notes = {{"limits", "none"}};
    return info;
  }
  std::string launch(const Call &call, const Instance &instance) override {
    std::unique_lock lock(engine_.mutex);
    ++engine_.waiting;
    while (engine_.blocked) {
      engine_.changed.wait_for(lock, milliseconds{5});
      call.throwIfDone();
    }
    --engine_.waiting;
    if (!engine_.failLaunch.empty() && !engine_.failAfterToken) {
      throw Error(Status::Unavailable, std::exchange(engine_.failLaunch, {}));
    }
    std::string token = instance.spec.name + "#" + std::to_string(++engine_.launches);
    lock.unlock();
    keepToken(instance, token);
    lock.lock();
    if (!engine_.dieAtOnce) engine_.alive.insert(token);
    if (!engine_.failLaunch.empty()) throw Error(Status::Unavailable, std::exchange(engine_.failLaunch, {}));
    return token;
  }
  bool isAlive(const Instance &instance) override {
    const std::lock_guard lock(engine_.mutex);
    if (engine_.away) throw Error(Status::Unavailable, "the engine is away");
    return engine_.alive.count(instance.token) != 0;
  }
  void end(const Call &, const Instance &instance, milliseconds) override {
    const std::lock_guard lock(engine_.mutex);
    ++engine_.ends;
    engine_.alive.erase(instance.token);
  }
  Exit exitOf(const Instance &) override { return {7, false}; }
  void prepare(const Call &, const Instance &instance) override {
    if (instance.spec.image == "refused") throw Error(Status::NotFound, "no such image", MOS_REASON_IMAGE_NOT_FOUND);
  }
  void discard(const Call &, const Instance &instance) override {
    const std::lock_guard lock(engine_.mutex);
    engine_.discarded.insert(instance.spec.name);
  }
  void freeze(const Call &, const Instance &instance) override { engine_.frozen.insert(instance.token); }
  void thaw(const Call &, const Instance &instance) override { engine_.frozen.erase(instance.token); }
  Usage usage(const Call &, const Instance &) override { return {1, 2, 3, 4, 5, 6}; }
  void readLogs(const Call &, const Instance &, const LogOptions &options, const LineFn &line) override {
    for (std::int64_t i = 0; i < options.tail; ++i)
      line("stdout", i, "line \xFF" + std::to_string(i));
  }

private:
  Engine &engine_;
};

struct Fixture {
  TempDir dir;
  Engine engine;
  std::unique_ptr<TestRuntime> runtime = make();
  Call call{nullptr};

  std::unique_ptr<TestRuntime> make() {
    auto made = std::make_unique<TestRuntime>(engine, dir);
    made->open();
    return made;
  }
  void restart() {
    runtime.reset();
    runtime = make();
  }
  std::string create(const std::string &name, const std::string &more = "") {
    return managed::text(managed::parseObject(runtime->create(call, spec(name, more))), "ref");
  }
  std::string up(const std::string &name) {
    const std::string ref = create(name);
    runtime->start(call, ref);
    return ref;
  }
  managed::Json inspect(const std::string &ref) { return managed::parseObject(runtime->inspect(call, ref)); }
  std::string state(const std::string &ref) { return managed::text(inspect(ref), "state"); }
  std::vector<std::string> names(const std::string &labels = "{}") {
    std::vector<std::string> names;
    runtime->list(call, labels, [&](std::string_view item) {
      names.push_back(managed::text(managed::parseObject(item), "name"));
      return true;
    });
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string spec(const std::string &name, const std::string &more = "") {
    return R"({"name":")" + name + R"(","image":"demo")" + (more.empty() ? "" : "," + more) + "}";
  }
};

/// Collects a runtime's events in the background. Listening from the constructor's return on.
class Listener {
public:
  Listener(TestRuntime &runtime, std::string labels) : scope_(std::chrono::minutes{1}) {
    thread_ = std::thread([this, &runtime, labels = std::move(labels)] {
      mos_error error{};
      status_ = static_cast<Status>(guarded(&error, [&] {
        runtime.events(Call(scope_.abi()), labels, [&](std::string_view item) {
          const managed::Json event = managed::parseObject(item);
          const std::lock_guard lock(mutex_);
          types_.push_back(managed::text(event, "type") + " " + managed::text(event, "name"));
          return true;
        });
      }));
      ended_ = true;
    });
  }
  ~Listener() { join(); }
  void join() {
    scope_.cancel();
    if (thread_.joinable()) thread_.join();
  }
  std::vector<std::string> types() {
    const std::lock_guard lock(mutex_);
    return types_;
  }
  Status status() {
    join();
    return status_;
  }
  bool ended() const { return ended_; }

private:
  CallScope scope_;
  std::mutex mutex_;
  std::vector<std::string> types_;
  Status status_ = Status::Ok;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "managed runtime: an instance from its creation to its removal") {
  const int port = freePort(); // it is looked at on this machine
  const std::string ports =
      R"("ports":[{"name":"gateway","containerPort":4000,"hostPort":)" + std::to_string(port) + "}]";
  const std::string ref = create("alice", ports);
  CHECK(state(ref) == "created");
  CHECK(inspect(ref)["endpoints"].empty());
  runtime->start(call, ref);
  runtime->start(call, "alice"); // by name, and already running
  CHECK(engine.launches == 1);
  const managed::Json description = inspect("alice");
  CHECK(description["ref"] == ref);
  CHECK(description["state"] == "running");
  CHECK(description["startedAt"].get<std::int64_t>() > 0);
  CHECK(description["endpoints"][0]["address"] == "127.0.0.1");
  CHECK(description["endpoints"][0]["port"] == port);
  CHECK(description["endpoints"][0]["scope"] == "host");
  const auto epoch = description["endpoints"][0]["epoch"];
  CHECK(managed::Json::parse(runtime->endpoints(call, ref)) == description["endpoints"]);

  CHECK(errorOf([&] { runtime->remove(call, ref, 0); }).reason() == "CONTAINER_RUNNING");
  runtime->stop(call, ref, milliseconds{10});
  runtime->stop(call, ref, milliseconds{10});
  CHECK(engine.ends == 1);
  CHECK(state(ref) == "exited");
  CHECK(inspect(ref)["exitCode"] == 7);
  CHECK(runtime->endpoints(call, ref) == "[]");
  runtime->start(call, ref);
  CHECK(inspect(ref)["endpoints"][0]["epoch"] != epoch);

  runtime->remove(call, ref, MOS_REMOVE_FORCE);
  runtime->remove(call, ref, MOS_REMOVE_FORCE);
  CHECK(engine.running() == 0);
  CHECK(engine.discarded.count("alice") == 1);
  CHECK(errorOf([&] { runtime->inspect(call, ref); }).status() == Status::NotFound);
  runtime->stop(call, ref, milliseconds{0}); // absent is stopped
  CHECK(errorOf([&] { runtime->start(call, ref); }).status() == Status::NotFound);
  CHECK(std::filesystem::is_empty(dir / "state"));
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a taken name is adopted by its labels or refused") {
  const auto labels = [](const std::string &operation, const std::string &hash, const std::string &install = "i") {
    return R"("labels":{"matrixos.operation-id":")" + operation + R"(","matrixos.spec-hash":")" + hash +
           R"(","matrixos.install-id":")" + install + "\"}";
  };
  const std::string ref = create("bob", labels("op1", "h1"));
  CHECK(create("bob", labels("op1", "h2")) == ref);
  CHECK(create("bob", labels("op2", "h1")) == ref);
  CHECK(errorOf([&] { create("bob", labels("op2", "h2")); }).reason() == MOS_REASON_NAME_IN_USE);
  CHECK(errorOf([&] { create("bob", labels("op1", "h1", "other")); }).reason() == MOS_REASON_NAME_IN_USE);
  CHECK(errorOf([&] { create("bob"); }).status() == Status::AlreadyExists);

  const CallScope scope(std::chrono::seconds{10}, "op9");
  const std::string carol = runtime->create(Call(scope.abi()), spec("carol"));
  CHECK(runtime->create(Call(scope.abi()), spec("carol")) == carol);
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a creation that fails leaves nothing") {
  const std::string refused = R"({"name":"dave","image":"refused"})";
  CHECK(errorOf([&] { runtime->create(call, refused); }).reason() == MOS_REASON_IMAGE_NOT_FOUND);
  const std::string volume = R"("volumes":[{"volume":"/nowhere/dave/data","path":"/home/x"}])";
  CHECK(errorOf([&] { create("dave", volume); }).reason() == "VOLUME_NOT_FOUND");
  CHECK(names().empty());
  CHECK(std::filesystem::is_empty(dir / "state"));
  CHECK_NOTHROW(create("dave"));
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: bad specs are named") {
  const auto message = [&](const std::string &json) {
    const Error e = errorOf([&] { runtime->create(call, json); });
    CHECK(e.status() == Status::InvalidArgument);
    return std::string(e.what());
  };
  CHECK(message("{").find("malformed JSON") == 0);
  CHECK(message("[]").find("has to be an object") != std::string::npos);
  CHECK(message(R"({"image":"x"})").find("\"name\" is missing") != std::string::npos);
  CHECK(message(R"({"name":"../x","image":"x"})").find("is no instance's name") != std::string::npos);
  CHECK(message(R"({"name":"a","image":5})").find("\"image\" has to be a string") != std::string::npos);
  CHECK(message(spec("a", R"("env":{"A=B":"x"})")).find("environment variable \"A=B\"") != std::string::npos);
  CHECK(message(spec("a", R"("memoryBytes":"1")")).find("\"memoryBytes\" has to be a whole number") !=
        std::string::npos);
  CHECK(message(spec("a", R"("memoryBytes":18446744073709551615)")).find("whole number") != std::string::npos);
  CHECK(message(spec("a", R"("restart":"sometimes")")).find("restart has to be") != std::string::npos);
  CHECK(message(spec("a", R"("ports":[{"name":"g","containerPort":70000}])")).find("containerPort") !=
        std::string::npos);
  CHECK(message(spec("a", R"("volumes":[{"volume":"v","path":"/a/../b"}])")).find("no path for a volume") !=
        std::string::npos);
  CHECK(message(spec("a", "\"x\":" + std::string(100, '[') + std::string(100, ']'))).find("nested too deeply") !=
        std::string::npos);
  CHECK(message(spec("a", R"("x":")" + std::string(1024 * 1024, 'x') + "\"")).find("larger than") != std::string::npos);
  CHECK_NOTHROW(create("a", R"("future":{"unknown":[1,2]})"));
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a start that fails changes nothing") {
  const std::string ref = create("erin");
  engine.failLaunch = "no room";
  CHECK(errorOf([&] { runtime->start(call, ref); }).what() == std::string("no room"));
  CHECK(state(ref) == "created");
  CHECK(inspect(ref)["error"] == "no room");
  engine.failLaunch = "half-way";
  engine.failAfterToken = true;
  CHECK(errorOf([&] { runtime->start(call, ref); }).what() == std::string("half-way"));
  CHECK(engine.running() == 0);
  CHECK(state(ref) == "created");
  engine.failAfterToken = false;
  engine.dieAtOnce = true;
  CHECK(errorOf([&] { runtime->start(call, ref); }).reason() == "EXITED_AT_START");
  CHECK(state(ref) == "exited");
  engine.dieAtOnce = false;
  runtime->start(call, ref);
  CHECK(state(ref) == "running");
  CHECK(inspect(ref)["error"] == "");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: two instances never share a host port") {
  const int port = freePort(); // it is looked at on this machine
  const std::string ports =
      R"("ports":[{"name":"gateway","containerPort":4000,"hostPort":)" + std::to_string(port) + "}]";
  create("frank", ports);
  create("grace", ports);
  runtime->start(call, "frank");
  const Error e = errorOf([&] { runtime->start(call, "grace"); });
  CHECK(e.status() == Status::Aborted);
  CHECK(e.reason() == MOS_REASON_PORT_IN_USE);
  CHECK(std::string(e.what()).find(std::to_string(port)) != std::string::npos);
  CHECK(state("grace") == "created");
  CHECK(inspect("grace")["occupiedPorts"] == std::vector<int>{port});
  runtime->stop(call, "frank", milliseconds{0});
  CHECK(inspect("grace")["occupiedPorts"].empty());
  CHECK_NOTHROW(runtime->start(call, "grace"));
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: one operation at a time per instance") {
  const std::string ref = create("heidi");
  engine.blocked = true;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { runtime->start(call, ref); });
  REQUIRE(eventually([&] {
    const std::lock_guard lock(engine.mutex);
    return engine.waiting == 1;
  }));
  // Who waits for a turn gives up with the call; reading waits for nobody.
  const CallScope brief(milliseconds{20});
  CHECK(errorOf([&] { runtime->stop(Call(brief.abi()), ref, milliseconds{0}); }).status() == Status::DeadlineExceeded);
  CallScope cancelled(std::chrono::minutes{1});
  cancelled.cancel();
  CHECK(errorOf([&] { runtime->pause(Call(cancelled.abi()), ref); }).status() == Status::Cancelled);
  CHECK(state(ref) == "created");
  // Another instance is not held up.
  CHECK_NOTHROW(create("ivan"));
  {
    const std::lock_guard lock(engine.mutex);
    engine.blocked = false;
  }
  engine.changed.notify_all();
  for (auto &thread : threads)
    thread.join();
  CHECK(engine.launches == 1);
  CHECK(state(ref) == "running");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a launch that is cancelled starts nothing") {
  const std::string ref = create("judy");
  engine.blocked = true;
  CallScope scope(std::chrono::minutes{1});
  std::thread starter(
      [&] { CHECK(errorOf([&] { runtime->start(Call(scope.abi()), ref); }).status() == Status::Cancelled); });
  REQUIRE(eventually([&] {
    const std::lock_guard lock(engine.mutex);
    return engine.waiting == 1;
  }));
  scope.cancel();
  starter.join();
  CHECK(state(ref) == "created");
  CHECK(engine.running() == 0);
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: freezing, and what is frozen ends too") {
  CHECK(errorOf([&] { runtime->pause(call, create("ken")); }).reason() == "NOT_RUNNING");
  const std::string ref = up("kim");
  runtime->pause(call, ref);
  runtime->pause(call, ref);
  CHECK(state(ref) == "paused");
  CHECK(engine.frozen.size() == 1);
  runtime->unpause(call, ref);
  runtime->unpause(call, ref);
  CHECK(state(ref) == "running");
  runtime->pause(call, ref);
  runtime->start(call, ref); // a start thaws
  CHECK(engine.frozen.empty());
  runtime->pause(call, ref);
  runtime->stop(call, ref, milliseconds{0});
  CHECK(engine.frozen.empty());
  CHECK(state(ref) == "exited");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: lists are filtered, whole or refused") {
  create("la", R"("labels":{"team":"red","x":"1"})");
  create("lb", R"("labels":{"team":"red"})");
  create("lc", R"("labels":{"team":"blue"})");
  CHECK(names() == std::vector<std::string>{"la", "lb", "lc"});
  CHECK(names(R"({"team":"red"})") == std::vector<std::string>{"la", "lb"});
  CHECK(names(R"({"team":"red","x":"1"})") == std::vector<std::string>{"la"});
  CHECK(names(R"({"nobody":"has"})").empty());
  CHECK(errorOf([&] { names(R"({"team":5})"); }).status() == Status::InvalidArgument);
  int taken = 0;
  runtime->list(call, "{}", [&](std::string_view) { return ++taken < 2; });
  CHECK(taken == 2);
  engine.away = true;
  CHECK(errorOf([&] { names(); }).status() == Status::Unavailable);
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a death is noticed") {
  const std::string ref = up("mallory");
  Listener listener(*runtime, "{}");
  up("marker"); // listening for sure once this is heard
  engine.kill("mallory#1");
  CHECK(eventually([&] {
    std::string found;
    runtime->list(call, "{}", [&](std::string_view item) {
      const managed::Json object = managed::parseObject(item);
      if (object["ref"] == ref) found = managed::text(object, "state");
      return true;
    });
    return found == "exited";
  }));
  CHECK(inspect(ref)["exitCode"] == 7);
  engine.kill("marker#2");
  CHECK(state("marker") == "exited"); // asked before the watch came round, or after: the same
  runtime->start(call, ref);
  CHECK(state(ref) == "running");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: events come in order, filtered, to each subscriber") {
  Listener all(*runtime, "{}");
  Listener red(*runtime, R"({"team":"red"})");
  // A subscriber is known once it has heard something.
  int tries = 0;
  REQUIRE(eventually([&] {
    create("probe" + std::to_string(++tries), R"("labels":{"team":"red"})");
    return !all.types().empty() && !red.types().empty();
  }));
  create("nina", R"("labels":{"team":"red"})");
  create("oscar", R"("labels":{"team":"blue"})");
  runtime->start(call, "oscar");
  runtime->start(call, "nina");
  runtime->pause(call, "nina");
  runtime->unpause(call, "nina");
  runtime->stop(call, "nina", milliseconds{0});
  runtime->remove(call, "nina", 0);
  const std::vector<std::string> expected{"created nina", "started nina", "paused nina", "unpaused nina",
                                          "died nina",    "stopped nina", "removed nina"};
  const auto of = [](const std::vector<std::string> &types, const std::string &name) {
    std::vector<std::string> found;
    for (const std::string &type : types) {
      if (type.size() > name.size() && type.compare(type.size() - name.size(), name.size(), name) == 0) {
        found.push_back(type);
      }
    }
    return found;
  };
  CHECK(eventually([&] { return of(all.types(), "nina") == expected; }));
  CHECK(eventually([&] { return of(red.types(), "nina") == expected; }));
  CHECK(of(all.types(), "oscar").size() == 2);
  CHECK(of(red.types(), "oscar").empty());
  CHECK(all.status() == Status::Cancelled);
  runtime->shutdown();
  CHECK(eventually([&] { return red.ended(); }));
  CHECK(red.status() == Status::Unavailable);
}

TEST_CASE("managed runtime: who takes events too slowly is told") {
  managed::EventHub hub;
  std::mutex gate;
  std::unique_lock hold(gate);
  std::atomic<int> heard{0};
  Error failure(Status::Ok, "");
  std::thread slow([&] {
    failure = errorOf([&] {
      hub.subscribe(Call(nullptr), {}, [&](std::string_view) {
        ++heard;
        const std::lock_guard wait(gate);
        return true;
      });
    });
  });
  REQUIRE(eventually([&] {
    hub.publish({}, "{}");
    return heard == 1;
  }));
  for (std::size_t i = 0; i < managed::EventHub::kMaxQueued + 10; ++i)
    hub.publish({}, "{}");
  hold.unlock();
  slow.join();
  CHECK(failure.reason() == "EVENTS_LOST");
  CHECK(heard >= static_cast<int>(managed::EventHub::kMaxQueued));
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a restart finds everything again") {
  const std::string running = up("peggy");
  const std::string stopped = up("quinn");
  runtime->stop(call, stopped, milliseconds{0});
  const std::string frozen = up("rupert");
  runtime->pause(call, frozen);
  const std::string dead = up("sybil");
  const std::string fresh = create("trent", R"("env":{"A":"B"},"command":["run","it"])");
  const managed::Json before = inspect(running);
  runtime.reset();
  engine.kill("sybil#4");
  runtime = make();
  CHECK(inspect(running) == before);
  CHECK(state(stopped) == "exited");
  CHECK(state(frozen) == "paused");
  CHECK(state(dead) == "exited");
  CHECK(state(fresh) == "created");
  CHECK(runtime->warnings.empty());
  CHECK(names().size() == 5);
  runtime->stop(call, "peggy", milliseconds{0});
  runtime->unpause(call, frozen);
  runtime->start(call, fresh);
  CHECK(engine.alive == std::set<std::string>{"rupert#3", "trent#5"});
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a crash in the middle of a start loses nobody") {
  const std::string ref = create("uma");
  engine.failLaunch = "crash";
  runtime.reset();
  const auto file = dir / "state" / (ref + ".json");
  managed::Json record = managed::Json::parse(readFile(file));

  SUBCASE("after the token was kept and the engine began") {
    record["state"] = "starting";
    record["runs"] = 1;
    record["token"] = "uma#1";
    engine.alive.insert("uma#1");
    writeFile(file, record.dump());
    runtime = make();
    CHECK(state(ref) == "running");
    runtime->stop(call, ref, milliseconds{0});
    CHECK(engine.running() == 0);
  }
  SUBCASE("before anything began") {
    record["state"] = "starting";
    record["runs"] = 1;
    writeFile(file, record.dump());
    runtime = make();
    CHECK(state(ref) == "created");
  }
  SUBCASE("while it was created") {
    record["state"] = "creating";
    writeFile(file, record.dump());
    runtime = make();
    CHECK(names().empty());
    CHECK(engine.discarded.count("uma") == 1);
  }
  SUBCASE("while its record was written") {
    writeFile(dir / "state" / ("." + ref + ".new"), "{\"ver");
    runtime = make();
    CHECK(state(ref) == "created");
    CHECK_FALSE(std::filesystem::exists(dir / "state" / ("." + ref + ".new")));
  }
  SUBCASE("and the disk made nonsense of the record") {
    writeFile(file, record.dump().substr(0, 40));
    runtime = make();
    CHECK(names().empty());
    CHECK(std::filesystem::exists(dir / "state" / (ref + ".broken")));
    CHECK(runtime->warnings.find("set aside") != std::string::npos);
    CHECK_NOTHROW(create("uma"));
  }
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: an engine that is away at the start changes no state") {
  const std::string ref = up("victor");
  runtime.reset();
  engine.away = true;
  runtime = make();
  CHECK(errorOf([&] { runtime->inspect(call, ref); }).status() == Status::Unavailable);
  {
    const std::lock_guard lock(engine.mutex);
    engine.away = false;
  }
  CHECK(state(ref) == "running");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: volumes are directories") {
  const auto ensure = [&](const std::string &request) {
    return managed::parseObject(runtime->volumeEnsure(call, request));
  };
  const std::string path = (dir / "users").string() + "/walter/matrixos";
  const managed::Json made = ensure(R"({"name":"walter","hostPath":")" + path + "\"}");
  CHECK(made["volume"] == path);
  CHECK(made["created"] == true);
  CHECK(ensure(R"({"name":"walter","hostPath":")" + path + "\"}")["created"] == false);
  CHECK_NOTHROW(create("walter", R"("volumes":[{"volume":")" + path + R"(","path":"/home/x"}])"));
  writeFile(path + "/note", "kept");
  runtime->volumeSnapshot(call, path, "copy1");
  CHECK(readFile(dir / "users/.snapshots/copy1/matrixos/note") == "kept");
  runtime->volumeTrash(call, path, "trash1");
  runtime->volumeTrash(call, path, "trash1");
  CHECK(readFile(dir / "users/.trash/trash1/matrixos/note") == "kept");
  CHECK_FALSE(std::filesystem::exists(path));

  // Without a place of its own it lies below the state folder.
  const std::string own = managed::text(ensure(R"({"name":"xena"})"), "volume");
  CHECK(own.find((dir / "state").string()) == 0);
  CHECK(errorOf([&] { ensure(R"({"name":"../x"})"); }).reason() == "BAD_VOLUME");
  CHECK(errorOf([&] { ensure(R"({"name":"x","hostPath":"/etc/x/y"})"); }).reason() == "BAD_VOLUME");
  CHECK(errorOf([&] { runtime->volumeTrash(call, own, "../x"); }).reason() == "BAD_VOLUME");
  std::filesystem::create_directories(dir / "users/evil");
  std::filesystem::create_directory_symlink("/etc", dir / "users/evil/matrixos");
  CHECK(errorOf([&] {
          ensure(R"({"name":"e","hostPath":")" + (dir / "users/evil/matrixos").string() + "\"}");
        }).reason() == "BAD_VOLUME");
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: capabilities, pull, statistics and logs") {
  const managed::Json can = managed::parseObject(runtime->capabilities(call));
  CHECK(can["engine"] == "test");
  CHECK(can["pause"] == true);
  CHECK(can["limits"] == "none");
  CHECK(runtime->pull(call, R"({"image":"x"})", {}) == R"({"digest":""})");
  CHECK(errorOf([&] { runtime->pull(call, R"({"image":"x","policy":"maybe"})", {}); }).status() ==
        Status::InvalidArgument);
  const std::string ref = up("yves");
  CHECK(managed::parseObject(runtime->stats(call, ref))["pids"] == 4);
  std::vector<std::string> lines;
  runtime->logs(call, ref, R"({"tail":2})", [&](std::string_view item) {
    lines.push_back(managed::text(managed::parseObject(item), "line"));
    return true;
  });
  CHECK(lines == std::vector<std::string>{"line \xEF\xBF\xBD"
                                          "0",
                                          "line \xEF\xBF\xBD"
                                          "1"});
  CHECK(errorOf([&] { runtime->logs(call, "nobody", "{}", {}); }).status() == Status::NotFound);
}

TEST_CASE_FIXTURE(Fixture, "managed runtime: a state folder has one owner") {
  const auto other = [&] {
    TestRuntime second(engine, dir);
    second.open();
  };
  CHECK(errorOf(other).reason() == "STATE_DIR");
  runtime.reset();
  CHECK_NOTHROW(other());
}
