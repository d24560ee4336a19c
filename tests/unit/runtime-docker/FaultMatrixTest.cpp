/// Every call of the runtime against every way an engine can fail.
#include "Fixture.h"

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

/// A call of the runtime, and the request of it that is made to fail.
struct Operation {
  const char *name;
  const char *method;
  const char *path;
  bool hasBody; ///< the runtime reads the answer's body
  std::function<void(DockerRuntime &, const Call &)> run;
};

const std::vector<Operation> &operations() {
  static const std::string ref = "matrixos-alice";
  static const char *pullNow = R"({"image": "img:1", "policy": "always"})";
  static const std::vector<Operation> kAll{
      {"capabilities", "GET", "/version", true, [](auto &r, auto &c) { r.capabilities(c); }},
      {"inspect", "GET", "/containers/matrixos-alice/json", true, [](auto &r, auto &c) { r.inspect(c, ref); }},
      {"endpoints", "GET", "/containers/matrixos-alice/json", true, [](auto &r, auto &c) { r.endpoints(c, ref); }},
      {"list", "GET", "/containers/json", true, [](auto &r, auto &c) { r.list(c, "{}", kTakeAll); }},
      {"list, each", "GET", "/containers/c0ffee/json", true, [](auto &r, auto &c) { r.list(c, "{}", kTakeAll); }},
      {"start", "POST", "/containers/matrixos-alice/start", false, [](auto &r, auto &c) { r.start(c, ref); }},
      {"start, look", "GET", "/containers/matrixos-alice/json", true, [](auto &r, auto &c) { r.start(c, ref); }},
      {"stop", "POST", "/containers/matrixos-alice/stop", false,
       [](auto &r, auto &c) { r.stop(c, ref, std::chrono::seconds{1}); }},
      {"remove", "DELETE", "/containers/matrixos-alice", false,
       [](auto &r, auto &c) { r.remove(c, ref, MOS_REMOVE_FORCE); }},
      {"remove, networks", "GET", "/networks", true,
       [](auto &r, auto &c) { r.remove(c, ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS); }},
      {"stats", "GET", "/containers/matrixos-alice/stats", true, [](auto &r, auto &c) { r.stats(c, ref); }},
      {"logs", "GET", "/containers/matrixos-alice/logs", true,
       [](auto &r, auto &c) { r.logs(c, ref, "{}", kTakeAll); }},
      {"events", "GET", "/events", true, [](auto &r, auto &c) { r.events(c, "{}", kTakeAll); }},
      {"pull, look", "GET", "/images/img%3A1/json", true,
       [](auto &r, auto &c) { r.pull(c, R"({"image": "img:1"})", kTakeAll); }},
      {"pull", "POST", "/images/create", true, [](auto &r, auto &c) { r.pull(c, pullNow, kTakeAll); }},
      {"create", "POST", "/containers/create", true, [](auto &r, auto &c) { r.create(c, kSpec); }},
      {"create, network", "GET", "/networks/matrixos-net", true, [](auto &r, auto &c) { r.create(c, kSpec); }},
  };
  return kAll;
}

/// Runs each operation with its request failing by `fault`; hands the outcome to `judge`.
void each(const FakeAnswer &fault, bool bodiesOnly, const std::function<void(const Operation &, const Error &)> &judge,
          std::chrono::milliseconds time = std::chrono::seconds{20}) {
  for (const Operation &operation : operations()) {
    if (bodiesOnly && !operation.hasBody) continue;
    CAPTURE(operation.name);
    Fixture fixture;
    fixture.settings.maxReply = 1U << 20U;
    fixture.engine.on(operation.method, operation.path, fault);
    const CallScope scope(time);
    judge(operation, failure([&] { operation.run(fixture.runtime, Call(scope.abi())); }));
  }
}

void isBadReply(const Operation &, const Error &error) {
  CAPTURE(error.what());
  CHECK(error.status() == Status::Unavailable);
  CHECK(error.reason() == MOS_REASON_ENGINE_REPLY);
}

/// Events end with the stream, whatever stood in it: the caller has to reconnect.
void isUnavailable(const Operation &, const Error &error) {
  CAPTURE(error.what());
  CHECK(error.status() == Status::Unavailable);
}

} // namespace

TEST_CASE("a healthy engine fails none of the calls") {
  for (const Operation &operation : operations()) {
    CAPTURE(operation.name);
    Fixture fixture;
    const CallScope scope(std::chrono::seconds{20});
    const Error error = failure([&] { operation.run(fixture.runtime, Call(scope.abi())); });
    CAPTURE(error.what());
    CHECK(error.status() == (std::string(operation.name) == "events" ? Status::Unavailable : Status::Ok));
  }
}

TEST_CASE("a truncated answer is never taken for a whole one") {
  each(truncated(200, "[]"), false, isBadReply);
  each(truncated(200, inspectBody("running")), false, isBadReply);
}

TEST_CASE("half a chunk") {
  each(halfChunk(200, "{\"status\":\"x\"}\n"), false, isBadReply);
}

TEST_CASE("a lying chunk size") {
  each(lyingChunk(200, "[]"), false, isBadReply);
}

TEST_CASE("an answer that does not say where it ends") {
  each(unframed(200, "[]"), false, isBadReply);
}

TEST_CASE("no HTTP at all") {
  each(garbage(), false, isUnavailable);
}

TEST_CASE("headers without end") {
  each(headerFlood(), false, isBadReply);
}

TEST_CASE("malformed JSON") {
  for (const char *text : {"{\"Id\": ", "nonsense", "[1, 2", "\xff\xfe", "{\"a\" 1}"}) {
    CAPTURE(text);
    each(answer(200, text), true, isBadReply);
  }
}

TEST_CASE("the wrong JSON") {
  for (const char *text : {"7", "\"text\"", R"([{"Id": 7}])", R"({"Id": [], "Version": 1, "State": "x", "Name": {},
       "cpu_stats": 3, "status": 5, "Type": 1})",
                           R"([{"Id": "../../x"}])"}) {
    CAPTURE(text);
    each(answer(200, text), true, isBadReply);
  }
}

TEST_CASE("a body of 100 MB is given up early") {
  each(flood(200, 100U << 20U), true, isBadReply);
}

TEST_CASE("an engine that closes the connection") {
  each(hangUp(), false, [](const Operation &, const Error &error) {
    CHECK(error.status() == Status::Unavailable);
    CHECK(error.reason() == MOS_REASON_ENGINE_UNREACHABLE);
  });
}

TEST_CASE("an engine that says nothing, until the deadline") {
  each(
      hang(), false, [](const Operation &, const Error &error) { CHECK(error.status() == Status::DeadlineExceeded); },
      std::chrono::milliseconds{60});
}

TEST_CASE("an engine that falls silent in the middle, until the deadline") {
  each(
      stalled(200, ""), false,
      [](const Operation &, const Error &error) { CHECK(error.status() == Status::DeadlineExceeded); },
      std::chrono::milliseconds{60});
}

TEST_CASE("500 keeps the engine's words") {
  each(answer(500, R"({"message": "the moon is in the wrong\u0007 house"})"), false,
       [](const Operation &operation, const Error &error) {
         // A start looks again, and the container runs.
         if (std::string(operation.name) == "start") return;
         CHECK(error.status() == Status::Unavailable);
         CHECK(contains(error.what(), "the moon is in the wrong house"));
       });
}

TEST_CASE("500 without JSON keeps the text") {
  each(answer(500, "<html>\nboom</html>"), false, [](const Operation &operation, const Error &error) {
    if (std::string(operation.name) != "start") CHECK(contains(error.what(), "<html> boom</html>"));
  });
}

TEST_CASE("404 is an answer where the contract says so") {
  each(answer(404, R"({"message": "No such thing"})"), false, [](const Operation &operation, const Error &error) {
    const std::string name = operation.name;
    CAPTURE(error.what());
    const bool fine = name == "stop" || name == "remove" || name == "list, each" || name == "create, network";
    const bool looked = name == "pull, look"; // absent, so it is pulled, and the engine still has none
    if (fine)
      CHECK(error.status() == Status::Ok);
    else if (looked)
      CHECK(error.reason() == MOS_REASON_ENGINE_REPLY);
    else
      CHECK(error.status() == Status::NotFound);
    if (name == "pull" || name == "create") CHECK(error.reason() == MOS_REASON_IMAGE_NOT_FOUND);
  });
}

TEST_CASE("409 and unexpected statuses are failures") {
  for (const int status : {301, 409, 418}) {
    each(answer(status, R"({"message": "conflict"})"), false, [&](const Operation &operation, const Error &error) {
      const std::string name = operation.name;
      CAPTURE(error.what());
      CAPTURE(status);
      // The container runs, which is what a start wants.
      if (name == "start" && status != 301)
        CHECK(error.status() == Status::Ok);
      else
        CHECK(error.status() != Status::Ok);
    });
  }
}
