// A plugin that is replaced while the daemon runs. GET /changing tells which version answers, how often its code was
// started, and what its configuration says. By VERSION:
//   1, 2  well-behaved; 2 has one more config key
//   3     does not start
//   4     needs what nobody provides
//   5     has a config key that must be set
//   6     provides nothing any more
//   7     does not stop as it should
//   8     also provides a service that the host does not know
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>

#include <stdexcept>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define VERSION_TEXT TEXT(VERSION) ".0.0"

namespace {

/// Fresh in every generation, kept from life to life of one.
int lives = 0;

class Describer : public matrixos::Lifecycle {
public:
  std::uint64_t ensureRunning(const matrixos::Call &, std::string_view, std::string_view,
                              matrixos::Completion &done) override {
    done.succeed("{}");
    return 0;
  }
  void forget(std::uint64_t) override {}
  void reportActivity(const mos_activity *, std::uint32_t) override {}
  std::string describe(std::string_view) override { return R"({"version":")" VERSION_TEXT R"("})"; }
};

class Changing : public matrixos::Plugin {
public:
  explicit Changing(const mos_host_v1 *host) : host_(host), config_(host), routes_(host), timers_(host) {}

  void start() override {
    ++lives;
#if VERSION == 3
    throw std::runtime_error("version 3 starts badly on purpose");
#endif
    std::string answer = R"({"version":")" VERSION_TEXT R"(","lives":)" + std::to_string(lives);
    answer += R"(,"word":")" + config_.getString("word") + '"';
#if VERSION == 2
    answer += R"(,"extra":")" + config_.getString("extra") + '"';
#endif
    routes_.add("GET", "/changing", MOS_PERMISSION_PUBLIC, "Which version answers",
                [answer = answer + "}"](matrixos::Exchange &exchange) { exchange.json(200, answer); });
    routes_.publish();
#if VERSION != 6
    matrixos::Services(host_).provide(MOS_LIFECYCLE_1, "", describer_.table());
#endif
#if VERSION == 8
    static const std::uint32_t table[4] = {sizeof table};
    matrixos::Services(host_).provide("example.direct/1", "", table);
#endif
    timers_.every(std::chrono::milliseconds{5}, [this] { ++ticks_; });
  }

  void stop() override {
    timers_.cancelAll();
#if VERSION == 7
    throw std::runtime_error("version 7 stops badly on purpose");
#endif
  }

private:
  const mos_host_v1 *host_;
  matrixos::Config config_;
  matrixos::Routes routes_;
  matrixos::Timers timers_;
  Describer describer_;
  std::atomic<int> ticks_{0};
};

constexpr mos_config_key kKeys[] = {
    {"word", "string", "hello", nullptr, "A word.", 0, 0},
#if VERSION == 2
    {"extra", "string", "more", nullptr, "Another word.", 0, 0},
#elif VERSION == 5
    {"must", "string", nullptr, nullptr, "A word that must be set.", MOS_KEY_REQUIRED, 0},
#endif
};
#if VERSION == 4
constexpr mos_need kNeeds[] = {{"example.missing/1", 0, 0}};
#endif
#if VERSION != 6
constexpr mos_provide kProvides[] = {{MOS_LIFECYCLE_1, nullptr, 0, 0},
#if VERSION == 8
                                     {"example.direct/1", nullptr, 0, 0}
#endif
};
#endif

} // namespace

MATRIXOS_PLUGIN(Changing, matrixos::Descriptor("changing", "Changing", VERSION_TEXT)
                              .vendor("Example")
                              .license("MIT")
                              .description("Changes from version to version.")
                              .configKeys(kKeys)
#if VERSION == 4
                              .needs(kNeeds)
#endif
#if VERSION != 6
                              .provides(kProvides)
#endif
)
