// A plugin that uses all that the test host has, and misbehaves when it is told to.
#include "fakes/services/greeter.h"

#include <matrixos/call.hpp>
#include <matrixos/plugin.hpp>

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace {

using matrixos::Error;
using matrixos::Exchange;
using matrixos::Status;

MOS_DESCRIBE_SERVICE(kGreeter, EXAMPLE_GREETER_1, EXAMPLE_GREETER_1_MINOR, EXAMPLE_GREETER_1_FUNCTIONS)
constexpr mos_need kNeeds[] = {{EXAMPLE_GREETER_1, 0, MOS_NEED_OPTIONAL}};
constexpr const mos_service_v1 *kServices[] = {&kGreeter};

class Tested final : public matrixos::Plugin {
public:
  explicit Tested(const mos_host_v1 *host)
      : config_(host), log_(host), services_(host), events_(host), sql_(host), store_(host), outbox_(host),
        timers_(host), executor_(host), routes_(host) {}

  void start() override {
    reconfigure();
    fixed_ = config_.getString("fixed");
    sql_.migrate({{1, "sent", "CREATE TABLE tested_sent (id TEXT NOT NULL)"}});
    events_.subscribe("visit.", [this](std::string_view topic, std::string_view) {
      log_.info("somebody came", {{"topic", topic}});
      ++visits_;
    });
    outbox_.begin([this](const mos_call *, const matrixos::OutboxDelivery &delivery) {
      if (delivery.attempt < 3) return matrixos::OutboxVerdict::retry("not today");
      sql_.execBatch({{"INSERT INTO tested_sent (id) VALUES (?)", {delivery.id}}});
      return matrixos::OutboxVerdict::done();
    });
    timers_.every(std::chrono::hours{1}, [this] {
      executor_.submit([this] {
        const std::lock_guard lock(
            counting_); // tasks of two hours may run at once, and the later one has the last word
        store_.put("hours", std::to_string(++hours_));
      });
    });
    addRoutes();
  }
  void stop() override {
    events_.unsubscribeAll();
    timers_.cancelAll();
    outbox_.end();
    if (config_.getString("leave") == "refusal") throw Error(Status::Internal, "this plugin does not want to stop");
  }
  void reconfigure() override {
    if (config_.getString("word") == "bad") throw Error(Status::InvalidArgument, "that is a bad word");
    const std::lock_guard lock(mutex_);
    word_ = config_.getString("word");
  }

private:
  void addRoutes() {
    routes_.add("GET", "/tested", MOS_PERMISSION_ADMIN, "What it has", [this](Exchange &e) {
      const std::lock_guard lock(mutex_);
      e.json(200, R"({"word":")" + word_ + R"(","fixed":")" + fixed_ + R"(","visits":)" + std::to_string(visits_) +
                      R"(,"hours":)" + (store_.get("hours") ? store_.get("hours")->bytes : "0") + "}");
    });
    routes_.add("GET", "/tested/greet/:name", MOS_PERMISSION_ADMIN, "Greets", [this](Exchange &e) {
      const auto greeter = services_.lease<example_greeter_v1>(EXAMPLE_GREETER_1);
      const matrixos::CallScope call(std::chrono::milliseconds{300});
      matrixos::Buffer out;
      matrixos::check([&](mos_error *error) {
        return greeter->greet(greeter->self, call.abi(), matrixos::toAbi(e.param("name")), 1, out.out(), error);
      });
      e.json(200, out.str());
    });
    routes_.add("GET", "/tested/me", MOS_PERMISSION_SIGNED_IN, "Who asks",
                [](Exchange &e) { e.json(200, R"({"who":")" + std::string(e.principal()) + "\"}"); });
    routes_.add("POST", "/tested/me", MOS_PERMISSION_SIGNED_IN, "Who sends that",
                [](Exchange &e) { e.json(200, R"({"who":")" + std::string(e.principal()) + "\"}"); });
    routes_.add("POST", "/tested/send/:id", MOS_PERMISSION_ADMIN, "Sends", [this](Exchange &e) {
      outbox_.put({{"somewhere", e.param("id"), e.body()}});
      e.json(202, "{}");
    });
    routes_.add("POST", "/tested/leave/:what", MOS_PERMISSION_ADMIN, "Leaves something behind", [](Exchange &e) {
      if (e.param("what") == "thread")
        std::thread([] { std::this_thread::sleep_for(std::chrono::seconds{20}); }).detach();
      if (e.param("what") == "file" && ::open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return;
      e.json(200, "{}");
    });
    routes_.add("POST", "/tested/trespass", MOS_PERMISSION_ADMIN, "Looks where it must not", [this](Exchange &e) {
      sql_.query("SELECT 1 FROM matrixos_tables", {}, [](const matrixos::SqlRow &) {});
      e.json(200, "{}");
    });
    routes_.publish();
  }

  matrixos::Config config_;
  matrixos::Log log_;
  matrixos::Services services_;
  matrixos::Events events_;
  matrixos::Sql sql_;
  matrixos::KeyValueStore store_;
  matrixos::Outbox outbox_;
  matrixos::Timers timers_;
  matrixos::Executor executor_;
  matrixos::Routes routes_;
  std::mutex mutex_;
  std::string word_, fixed_;
  std::atomic<int> visits_{0};
  std::mutex counting_;
  int hours_ = 0;
};

constexpr mos_config_key kKeys[] = {{"word", "string", "hello", nullptr, "A live one.", MOS_KEY_LIVE, 0},
                                    {"fixed", "string", "one", nullptr, "One that is not.", 0, 0},
                                    {"leave", "string", "", nullptr, "What stop() leaves.", 0, 0}};

} // namespace

MATRIXOS_PLUGIN(Tested, matrixos::Descriptor("tested", "Tested", "1.0.0")
                            .vendor("Example")
                            .license("MIT")
                            .description("Is tested.")
                            .needs(kNeeds)
                            .services(kServices)
                            .configKeys(kKeys))
