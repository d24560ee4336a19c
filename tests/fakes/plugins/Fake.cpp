// Plugins that misbehave, one per KIND (a number, see CMakeLists.txt). Built into test-plugins/, never installed.
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#define GOOD 1
#define THROWS 2
#define HANGS_IN_START 3
#define HANGS_IN_STOP 4
#define WRONG_MAGIC 5
#define FUTURE_MINOR 6
#define SMALL_STRUCT 7
#define NEEDS_NOBODY 8
#define CYCLE_A 9
#define CYCLE_B 10
#define DOUBLE_ANSWER 11
#define FORGETS 12
#define WRONG_ID 13
#define CREATE_THROWS 14
#define WAKES 15

namespace {

[[maybe_unused]] void hang() {
  for (;;)
    std::this_thread::sleep_for(std::chrono::hours{1});
}

class Fake : public matrixos::Plugin {
public:
  explicit Fake(const mos_host_v1 *host) : host_(host), log_(host), routes_(host), timers_(host), executor_(host) {
#if KIND == CREATE_THROWS
    throw std::runtime_error("create went wrong on purpose");
#endif
  }

  void start() override {
#if KIND == THROWS
    throw std::runtime_error("start went wrong on purpose");
#elif KIND == HANGS_IN_START
    hang();
#elif KIND == GOOD || KIND == FORGETS
    routes_.add("GET", "/" FAKE_ID, MOS_PERMISSION_PUBLIC, "Answers at once",
                [](matrixos::Exchange &exchange) { exchange.json(200, R"({"from":")" FAKE_ID R"("})"); });
    routes_.add("GET", "/" FAKE_ID "/later", MOS_PERMISSION_PUBLIC, "Answers from the executor",
                [this](matrixos::Exchange &exchange) {
                  auto kept = std::make_shared<matrixos::Exchange>(std::move(exchange));
                  executor_.submit([kept] { kept->json(200, R"({"later":true})"); });
                });
    routes_.add("GET", "/" FAKE_ID "/throws", MOS_PERMISSION_PUBLIC, "Throws", [](matrixos::Exchange &) {
      throw matrixos::Error(matrixos::Status::NotFound, "nothing here, on purpose", "ON_PURPOSE");
    });
    routes_.add("GET", "/" FAKE_ID "/never", MOS_PERMISSION_PUBLIC, "Never answers",
                [this](matrixos::Exchange &exchange) {
                  const std::lock_guard lock(heldMutex_);
                  held_.push_back(std::make_shared<matrixos::Exchange>(std::move(exchange)));
                });
    routes_.add("GET", "/" FAKE_ID "/held", MOS_PERMISSION_PUBLIC, "How many it never answers",
                [this](matrixos::Exchange &exchange) {
                  const std::lock_guard lock(heldMutex_);
                  exchange.json(200, std::to_string(held_.size()));
                });
    routes_.publish();
    timers_.every(std::chrono::milliseconds{5}, [this] { ++ticks_; });
#elif KIND == WAKES
    matrixos::Services(host_).provide(MOS_LIFECYCLE_1, "", waker_.table());
#elif KIND == DOUBLE_ANSWER
    static mos_lifecycle_v1 table = *waker_.table();
    table.ensure_running = [](void *, const mos_call *, mos_str, mos_str, mos_completion done, std::uint64_t *ticket,
                              mos_error *) -> mos_status {
      *ticket = 0;
      done.done(done.ctx, MOS_OK, mos_str{"{}", 2}, nullptr);
      done.done(done.ctx, MOS_OK, mos_str{"{}", 2}, nullptr);
      return MOS_OK;
    };
    matrixos::Services(host_).provide(MOS_LIFECYCLE_1, "", &table);
#endif
    log_.info("started");
  }

  void stop() override {
#if KIND == HANGS_IN_STOP
    hang();
#elif KIND != FORGETS
    timers_.cancelAll();
#endif
  }

private:
  class Waker : public matrixos::Lifecycle {
  public:
    std::uint64_t ensureRunning(const matrixos::Call &, std::string_view, std::string_view,
                                matrixos::Completion &done) override {
      kept_.push_back(std::make_unique<matrixos::Completion>(std::move(done)));
      return 1;
    }
    void forget(std::uint64_t) override {
      for (auto &done : kept_)
        done->succeed("{}");
      kept_.clear();
    }
    void reportActivity(const mos_activity *, std::uint32_t) override {}
    std::string describe(std::string_view) override { return "{}"; }

  private:
    std::vector<std::unique_ptr<matrixos::Completion>> kept_;
  };

  const mos_host_v1 *host_;
  matrixos::Log log_;
  matrixos::Routes routes_;
  matrixos::Timers timers_;
  matrixos::Executor executor_;
  Waker waker_;
  std::mutex heldMutex_;
  std::vector<std::shared_ptr<matrixos::Exchange>> held_;
  std::atomic<int> ticks_{0};
};

#if KIND == NEEDS_NOBODY
constexpr mos_need kNeeds[] = {{"example.missing/1", 0, 0}};
#elif KIND == CYCLE_A
constexpr mos_need kNeeds[] = {{"example.b/1", 0, 0}};
constexpr mos_provide kProvides[] = {{"example.a/1", nullptr, 0, 0}};
#elif KIND == CYCLE_B
constexpr mos_need kNeeds[] = {{"example.a/1", 0, 0}};
constexpr mos_provide kProvides[] = {{"example.b/1", nullptr, 0, 0}};
#elif KIND == WAKES || KIND == DOUBLE_ANSWER
constexpr mos_provide kProvides[] = {{MOS_LIFECYCLE_1, nullptr, 0, 0}};
#endif

constexpr mos_config_key kKeys[] = {{"word", "string", "hello", nullptr, "A word.", MOS_KEY_LIVE, 0}};

mos_descriptor_v1 describe() {
  matrixos::Descriptor d(KIND == WRONG_ID ? "somebody-else" : FAKE_ID, "Fake", "1.0.0");
  d.configKeys(kKeys).create(&matrixos::detail::createPlugin<Fake>);
#if KIND == NEEDS_NOBODY || KIND == CYCLE_A || KIND == CYCLE_B
  d.needs(kNeeds);
#endif
#if KIND == CYCLE_A || KIND == CYCLE_B || KIND == WAKES || KIND == DOUBLE_ANSWER
  d.provides(kProvides);
#endif
  mos_descriptor_v1 raw = d.abi();
  if (KIND == WRONG_MAGIC) raw.magic = 42;
  if (KIND == FUTURE_MINOR) raw.min_host_minor = 9999;
  if (KIND == SMALL_STRUCT) raw.struct_size = 24;
  return raw;
}

} // namespace

extern "C" MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  static const mos_descriptor_v1 descriptor = describe();
  return &descriptor;
}
