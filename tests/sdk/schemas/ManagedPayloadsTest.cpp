// What every runtime answers that is built on matrixos/managed_runtime.hpp fits the schemas.
#include "Schemas.h"
#include "support/TempDir.h"

#include <matrixos/managed_runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// The least an author writes, and everything optional.
class Lamp final : public ManagedRuntime {
public:
  explicit Lamp(const TempDir &dir) : ManagedRuntime({(dir / "state").string()}) { open(); }
  ~Lamp() override { close(); }

protected:
  EngineInfo engine(const Call &) override {
    EngineInfo info{"lamp", "1"};
    info.pause = info.stats = true;
    return info;
  }
  std::string launch(const Call &, const Instance &) override {
    on_ = true;
    return "token";
  }
  bool isAlive(const Instance &) override { return on_; }
  void end(const Call &, const Instance &, std::chrono::milliseconds) override { on_ = false; }
  Exit exitOf(const Instance &) override { return {137, true}; }
  void freeze(const Call &, const Instance &) override {}
  void thaw(const Call &, const Instance &) override {}
  Usage usage(const Call &, const Instance &) override { return {1, 2, 3, 4, 5, 6}; }
  std::string pullImage(const Call &, const std::string &, const std::string &, const ItemFn &) override {
    return "sha";
  }
  void readLogs(const Call &, const Instance &, const LogOptions &, const LineFn &line) override {
    line("stderr", 17, "a line that is not \xFF UTF-8");
  }

private:
  std::atomic<bool> on_{false};
};

} // namespace

TEST_CASE("managed runtimes: every answer of a life") {
  const TempDir dir;
  Lamp runtime(dir);
  const Call call(nullptr);
  const std::string spec = R"({"name": "lamp-1", "image": "demo", "labels": {"k": "v"},
                               "ports": [{"name": "shell", "containerPort": 3000, "hostPort": 3001}]})";
  CHECK(misfit("instance-spec", spec) == "");
  CHECK(misfit("capabilities", runtime.capabilities(call)) == "");
  CHECK(misfit("pull-answer", runtime.pull(call, R"({"image": "demo"})", [](std::string_view) { return true; })) == "");
  CHECK(misfit("volume-answer",
               runtime.volumeEnsure(call, R"({"name": "v", "hostPath": ")" + (dir / "v").string() + "\"}")) == "");
  CHECK(misfit("create-answer", runtime.create(call, spec)) == "");

  const auto check = [&](const std::string &state) {
    const std::string description = runtime.inspect(call, "lamp-1");
    CAPTURE(description);
    CHECK(description.find("\"" + state + "\"") != std::string::npos);
    CHECK(misfit("description", description) == "");
    CHECK(misfit("endpoints", runtime.endpoints(call, "lamp-1")) == "");
  };
  check("created");
  runtime.start(call, "lamp-1");
  check("running");
  CHECK(misfit("stats", runtime.stats(call, "lamp-1")) == "");
  runtime.pause(call, "lamp-1");
  check("paused");
  runtime.unpause(call, "lamp-1");
  runtime.stop(call, "lamp-1", std::chrono::milliseconds{0});
  check("exited");

  int items = 0;
  const auto fits = [&](const char *schema) {
    return [schema, &items](std::string_view item) {
      CAPTURE(item);
      CHECK(misfit(schema, std::string(item)) == "");
      ++items;
      return true;
    };
  };
  runtime.list(call, "{}", fits("description"));
  runtime.logs(call, "lamp-1", R"({"tail": 1})", fits("log-line"));
  CHECK(items == 2);
}
