// What runtime-docker really answers fits the schemas.
#include "Schemas.h"
#include "unit/runtime-docker/Fixture.h"

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

const Call kCall(nullptr);

/// Checks each item of a stream, and that there were any.
ItemFn fitting(const char *schema, int &count) {
  return [schema, &count](std::string_view item) {
    CAPTURE(item);
    CHECK(misfit(schema, std::string(item)) == "");
    ++count;
    return true;
  };
}

/// One frame of the engine's multiplexed log.
std::string logFrame(const std::string &text) {
  return std::string("\x01\x00\x00\x00\x00\x00\x00", 7) + static_cast<char>(text.size()) + text;
}

} // namespace

TEST_CASE("runtime-docker: one answer each") {
  Fixture f;
  f.engine.on("GET", "/version",
              answer(200, R"({"Version": "20.10.24", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]})"));
  CHECK(misfit("capabilities", f.runtime.capabilities(kCall)) == "");
  CHECK(misfit("create-answer", f.runtime.create(kCall, kSpec)) == "");
  CHECK(misfit("stats", f.runtime.stats(kCall, "matrixos-alice")) == "");
  CHECK(misfit("volume-answer",
               f.runtime.volumeEnsure(kCall, R"({"hostPath": ")" + (f.directory.path() / "v").string() + "\"}")) == "");
}

TEST_CASE("runtime-docker: descriptions and endpoints in every state of the engine") {
  Fixture f;
  for (const char *state : {"created", "running", "paused", "restarting", "removing", "exited", "dead"}) {
    CAPTURE(state);
    f.engine.on("GET", "/containers/matrixos-alice/json",
                answer(200, inspectBody(state, R"({"matrixos.endpoint.gateway": "4000"})")));
    CHECK(misfit("description", f.runtime.inspect(kCall, "matrixos-alice")) == "");
    CHECK(misfit("endpoints", f.runtime.endpoints(kCall, "matrixos-alice")) == "");
  }
  int listed = 0;
  f.engine.on("GET", "/containers/c0ffee/json", answer(200, inspectBody("running", R"({"matrixos.managed": "true"})")));
  f.runtime.list(kCall, R"({"matrixos.managed": "true"})", fitting("description", listed));
  CHECK(listed == 1);
}

TEST_CASE("runtime-docker: streams") {
  Fixture f;
  int items = 0;
  f.engine.on("GET", "/containers/matrixos-alice/logs",
              chunked(200, {logFrame("2026-11-23T15:12:51.7Z hello\n"), logFrame("no time\n")}));
  f.runtime.logs(kCall, "matrixos-alice", R"({"tail": 2})", fitting("log-line", items));
  CHECK(items == 2);

  items = 0;
  f.engine.on(
      "GET", "/events",
      chunked(200, {R"({"Type": "container", "Action": "die", "time": 1, )",
                    R"("Actor": {"ID": "c0ffee", "Attributes": {"name": "alice", "exitCode": "137"}}})", "\n"}));
  CHECK_THROWS_AS(f.runtime.events(kCall, "{}", fitting("event", items)), Error); // the engine's stream ended
  CHECK(items == 1);

  items = 0;
  f.engine.on(
      "POST", "/images/create",
      chunked(200, {"{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":1,\"total\":2}}\n"}));
  const std::string pulled =
      f.runtime.pull(kCall, R"({"image": "img:1", "policy": "always"})", fitting("pull-progress", items));
  CHECK(misfit("pull-answer", pulled) == "");
  CHECK(items >= 1);
}

TEST_CASE("runtime-docker takes what the schema of a spec allows") {
  Fixture f;
  for (const std::string &example : examplesOf("instance-spec")) {
    CAPTURE(example);
    if (example.find("/data/users") == std::string::npos) CHECK_NOTHROW(InstanceSpec::parse(example));
  }
}
