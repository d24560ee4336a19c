// Provides example.greeter/1, a service of a third party, in C++.
#include "greeter.h"

#include <matrixos/call.hpp>
#include <matrixos/plugin.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#ifndef GREETING_VERSION
#define GREETING_VERSION "1.0.0"
#endif

namespace {

MOS_DESCRIBE_SERVICE(kGreeter, EXAMPLE_GREETER_1, EXAMPLE_GREETER_1_MINOR, EXAMPLE_GREETER_1_FUNCTIONS)
constexpr mos_provide kProvides[] = {{EXAMPLE_GREETER_1, nullptr, EXAMPLE_GREETER_1_MINOR, 0}};
constexpr const mos_service_v1 *kServices[] = {&kGreeter};

class Greeting : public matrixos::Plugin {
public:
  explicit Greeting(const mos_host_v1 *host) : services_(host) {
    table_.struct_size = sizeof table_;
    table_.minor = EXAMPLE_GREETER_1_MINOR;
    table_.self = this;
    table_.greet = [](void *self, const mos_call *call, mos_str name, std::int64_t times, mos_buf *out,
                      mos_error *error) {
      return matrixos::guarded(error, [&] {
        auto &me = *static_cast<Greeting *>(self);
        const std::string who(matrixos::fromAbi(name));
        while (who == "slow" && !matrixos::Call(call).cancelled())
          std::this_thread::sleep_for(std::chrono::milliseconds{10});
        const std::lock_guard lock(me.mutex_);
        me.greeted_[who] += times;
        for (const auto &[id, listener] : me.listeners_)
          listener.greeted(listener.ctx, name);
        matrixos::giveBuffer(out, R"({"greeting":"hello )" + who + R"(","version":")" GREETING_VERSION R"("})");
      });
    };
    table_.names = [](void *self, const mos_call *, mos_sink items, mos_error *error) {
      return matrixos::guarded(error, [&] {
        auto &me = *static_cast<Greeting *>(self);
        const std::lock_guard lock(me.mutex_);
        for (const auto &[name, times] : me.greeted_)
          if (items.item(items.ctx, matrixos::toAbi(name)) == MOS_SINK_STOP) return;
      });
    };
    table_.listen = [](void *self, std::uint64_t, mos_str, example_listener listener, std::uint64_t *out,
                       mos_error *error) {
      return matrixos::guarded(error, [&] {
        auto &me = *static_cast<Greeting *>(self);
        const std::lock_guard lock(me.mutex_);
        me.listeners_[ *out = ++me.last_] = listener;
      });
    };
    table_.unlisten = [](void *self, std::uint64_t id, mos_error *error) {
      return matrixos::guarded(error, [&] {
        auto &me = *static_cast<Greeting *>(self);
        const std::lock_guard lock(me.mutex_);
        me.listeners_.erase(id);
      });
    };
  }

  void start() override { services_.provide(EXAMPLE_GREETER_1, "", &table_); }
  void stop() override { services_.withdraw(EXAMPLE_GREETER_1, ""); }

private:
  matrixos::Services services_;
  example_greeter_v1 table_{};
  std::mutex mutex_;
  std::map<std::string, std::int64_t> greeted_;
  std::map<std::uint64_t, example_listener> listeners_;
  std::uint64_t last_ = 0;
};

} // namespace

MATRIXOS_PLUGIN(Greeting, matrixos::Descriptor("greeting", "Greeting", GREETING_VERSION)
                              .vendor("Example")
                              .license("MIT")
                              .description("Greets whoever is named.")
                              .provides(kProvides)
                              .services(kServices))
