#include "plugin/PendingCalls.h"
#include "plugin/PluginFaults.h"
#include "plugin/ServiceRegistry.h"
#include "support/Errors.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <matrixos/lifecycle.hpp>
#include <matrixos/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace std::chrono_literals;
using matrixos::test::has;
using plugin::PluginFault;
using plugin::PluginFaults;
using test::eventually;
using test::statusOf;

namespace {

/// A latch that a provider hangs at until the test lets it go.
class Latch {
public:
  void wait(std::shared_future<void> opened) {
    ++inside;
    opened.wait();
    --inside;
  }
  std::shared_future<void> opened() { return future_; }
  void open() { open_.set_value(); }

  std::atomic<int> inside{0};

private:
  std::promise<void> open_;
  std::shared_future<void> future_{open_.get_future().share()};
};

std::atomic<int> buffersAlive{0};

void give(mos_buf *out, const char *text) {
  ++buffersAlive;
  auto *owned = new std::string(text);
  *out = {owned->data(), owned->size(), owned, [](mos_buf *buf) {
            delete static_cast<std::string *>(buf->owner);
            --buffersAlive;
          }};
}

/// A provider of "matrixos.runtime/1" whose functions a test replaces one by one, as a plugin without our C++ layer
/// would have them.
struct Provider {
  explicit Provider(const std::string &name, std::chrono::milliseconds grace = 100ms,
                    std::uint32_t tableSize = sizeof(mos_runtime_v1))
      : life(name + "#1"), id(name), registry(nullptr, plugin::CallLimits{grace}) {
    table.struct_size = tableSize;
    table.minor = MOS_RUNTIME_1_MINOR;
    table.self = this;
    registry.provide(life, MOS_RUNTIME_1, "", &table);
  }

  RuntimeClient client() { return RuntimeClient(raw()); }
  const mos_runtime_v1 *raw() {
    return static_cast<const mos_runtime_v1 *>(registry.acquire({"consumer#1", gate}, MOS_RUNTIME_1, ""));
  }
  std::uint64_t faults(PluginFault fault) const { return PluginFaults::instance().count(id, fault); }

  const std::string life, id;
  mos_runtime_v1 table{};
  std::shared_ptr<plugin::CallGate> gate = std::make_shared<plugin::CallGate>();
  plugin::ServiceRegistry registry;
  Latch latch;
};

Provider &of(void *self) {
  return *static_cast<Provider *>(self);
}

mos_status hangInInspect(void *self, const mos_call *, mos_str, mos_buf *out, mos_error *) {
  Provider &provider = of(self);
  provider.latch.wait(provider.latch.opened());
  give(out, "late");
  return MOS_OK;
}

} // namespace

TEST_CASE("each thing that a plugin must not do has a name of its own") {
  std::set<std::string> names;
  for (int fault = 0; fault <= static_cast<int>(plugin::PluginFault::Leaked); ++fault)
    names.insert(plugin::faultName(static_cast<plugin::PluginFault>(fault)));
  CHECK(names.size() == 7);
  CHECK(names.count("?") == 0);
}

TEST_CASE("a watched call passes arguments, context, items and the answer on") {
  Provider provider("well");
  provider.table.pull = [](void *, const mos_call *call, mos_str request, mos_sink sink, mos_buf *out, mos_error *) {
    for (const char *item : {"1", "2", "3"}) {
      if (sink.item(sink.ctx, toAbi(item)) != MOS_SINK_CONTINUE) break;
    }
    const std::string text = std::string(fromAbi(call->operation_id)) + "/" + std::string(fromAbi(call->trace_id)) +
                             "/" + std::string(fromAbi(request));
    give(out, text.c_str());
    return MOS_OK;
  };
  CallScope scope(10s, "operation", "trace");
  std::string items;
  const std::string answer = provider.client().pull(scope.abi(), "request", [&](std::string_view item) {
    items += item;
    return item != "2";
  });
  CHECK(answer == "operation/trace/request");
  CHECK(items == "12");
  CHECK(buffersAlive == 0);
}

TEST_CASE("a runtime of minor 0 is asked to start and to describe, one after the other") {
  for (const std::uint32_t size :
       {std::uint32_t{offsetof(mos_runtime_v1, start_described)}, std::uint32_t{sizeof(mos_runtime_v1)}}) {
    CAPTURE(size);
    Provider provider("old", 100ms, size);
    if (size < sizeof(mos_runtime_v1)) { // what lies behind a short table is not a function
      provider.table.start_described = [](void *, const mos_call *, mos_str, mos_buf *, mos_error *) {
        return MOS_INTERNAL;
      };
      provider.table.volume_remove_if_empty = [](void *, const mos_call *, mos_str, mos_error *) {
        return MOS_INTERNAL;
      };
    }
    provider.table.start = [](void *, const mos_call *, mos_str ref, mos_error *error) {
      return fromAbi(ref) == "ref" ? MOS_OK : fail(error, Status::Aborted, "occupied", MOS_REASON_PORT_IN_USE);
    };
    provider.table.inspect = [](void *, const mos_call *, mos_str, mos_buf *out, mos_error *) {
      give(out, "described");
      return MOS_OK;
    };
    CHECK(provider.client().startDescribed(nullptr, "ref") == "described");
    CHECK(statusOf([&] { provider.client().startDescribed(nullptr, "other"); }) == Status::Aborted);
    CHECK(statusOf([&] { provider.client().volumeRemoveIfEmpty(nullptr, "v"); }) == Status::Unimplemented);
    CHECK(buffersAlive == 0);
  }
  // One that has them is asked once.
  Provider provider("new");
  provider.table.start_described = [](void *, const mos_call *, mos_str, mos_buf *out, mos_error *) {
    give(out, "at once");
    return MOS_OK;
  };
  provider.table.volume_remove_if_empty = [](void *, const mos_call *, mos_str, mos_error *) { return MOS_OK; };
  CHECK(provider.client().startDescribed(nullptr, "ref") == "at once");
  provider.client().volumeRemoveIfEmpty(nullptr, "v");
}

TEST_CASE("a call past its deadline comes back without the provider, whose late answer is dropped") {
  Provider provider("hangs");
  provider.table.inspect = &hangInInspect;
  CallScope scope(20ms);
  std::string message;
  CHECK(statusOf([&] { provider.client().inspect(scope.abi(), "ref"); }, &message) == Status::DeadlineExceeded);
  CHECK(has(message, "the plugin hangs does not return from inspect()"));
  CHECK(provider.faults(PluginFault::Abandoned) == 1);
  CHECK(has(provider.registry.hangs(provider.life), "1 call into it hangs"));
  CHECK(provider.faults(PluginFault::Stray) == 0);
  provider.latch.open();
  CHECK(eventually([&] { return provider.faults(PluginFault::Stray) == 1; }));
  CHECK(provider.registry.hangs(provider.life).empty());
  CHECK(buffersAlive == 0);
  CHECK(provider.registry.withdrawAll(provider.life, 20s).empty());
}

TEST_CASE("with four calls given up a plugin is not called any more until one returns") {
  Provider provider("stuck");
  provider.table.inspect = &hangInInspect;
  provider.table.capabilities = [](void *, const mos_call *, mos_buf *out, mos_error *) -> mos_status {
    give(out, "{}");
    return MOS_OK;
  };
  for (int i = 0; i < 4; ++i) {
    CHECK(provider.client().capabilities(nullptr) == "{}");
    CallScope scope(1ms);
    CHECK(statusOf([&] { provider.client().inspect(scope.abi(), "ref"); }) == Status::DeadlineExceeded);
  }
  std::string message;
  CHECK(statusOf([&] { provider.client().capabilities(nullptr); }, &message) == Status::Unavailable);
  CHECK(has(message, "the plugin stuck is not called any more: 4 calls into it hang"));
  CHECK(has(message, "the last one inspect()"));
  CHECK(provider.latch.inside == 4);
  provider.latch.open();
  REQUIRE(eventually([&] { return statusOf([&] { provider.client().capabilities(nullptr); }) == Status::Ok; }));
  CHECK(provider.registry.withdrawAll(provider.life, 20s).empty());
}

TEST_CASE("a call without a deadline ends with its cancellation") {
  Provider provider("events");
  provider.table.events = [](void *self, const mos_call *, mos_str, mos_sink, mos_error *) -> mos_status {
    of(self).latch.wait(of(self).latch.opened());
    return MOS_OK;
  };
  CallScope scope(std::chrono::milliseconds::max());
  std::thread cancels([&] {
    CHECK(eventually([&] { return provider.latch.inside == 1; }));
    scope.cancel();
  });
  CHECK(statusOf([&] { provider.client().events(scope.abi(), "{}", [](auto) { return true; }); }) == Status::Cancelled);
  cancels.join();
  provider.latch.open();
  CHECK(provider.registry.withdrawAll(provider.life, 20s).empty());
}

TEST_CASE("the provider sees the caller's cancellation, through the function and the descriptor") {
  Provider provider("polite");
  provider.table.events = [](void *self, const mos_call *call, mos_str, mos_sink, mos_error *error) -> mos_status {
    ++of(self).latch.inside;
    const bool seen = eventually([&] { return call->cancelled(call) == 1; });
    return seen ? fail(error, Status::Cancelled, "as you wish") : MOS_OK;
  };
  CallScope scope(std::chrono::milliseconds::max());
  mos_call withoutDescriptor = *scope.abi();
  withoutDescriptor.cancel_fd = -1;
  for (const mos_call *call : {scope.abi(), static_cast<const mos_call *>(&withoutDescriptor)}) {
    std::string message;
    std::thread cancels([&] {
      CHECK(eventually([&] { return provider.latch.inside > 0; }));
      scope.cancel();
    });
    CHECK(statusOf([&] { provider.client().events(call, "{}", [](auto) { return true; }); }, &message) ==
          Status::Cancelled);
    CHECK(message == "as you wish");
    cancels.join();
  }
}

TEST_CASE("a sink is never called once its caller has gone") {
  Provider provider("streams");
  static std::atomic<int> refused{0};
  static mos_sink kept{};
  provider.table.list = [](void *self, const mos_call *, mos_str, mos_sink sink, mos_error *) -> mos_status {
    kept = sink;
    sink.item(sink.ctx, toAbi("early"));
    of(self).latch.wait(of(self).latch.opened());
    if (sink.item(sink.ctx, toAbi("late")) == MOS_SINK_STOP) ++refused;
    return MOS_OK;
  };
  CallScope scope(20ms);
  std::vector<std::string> items;
  CHECK(statusOf([&] {
          provider.client().list(scope.abi(), "{}", [&](std::string_view item) {
            items.emplace_back(item);
            return true;
          });
        }) == Status::DeadlineExceeded);
  provider.latch.open();
  CHECK(eventually([&] { return refused == 1; }));
  CHECK(provider.registry.withdrawAll(provider.life, 20s).empty());
  CHECK(kept.item(kept.ctx, toAbi("after the call")) == MOS_SINK_STOP);
  CHECK(items == std::vector<std::string>{"early"});
}

TEST_CASE("a slow consumer is not held against the provider") {
  Provider provider("patient", 2s);
  provider.table.list = [](void *, const mos_call *, mos_str, mos_sink sink, mos_error *error) -> mos_status {
    sink.item(sink.ctx, toAbi("one"));
    return fail(error, Status::DeadlineExceeded, "in time after all");
  };
  CallScope scope(1ms);
  std::string message;
  CHECK(statusOf(
            [&] {
              provider.client().list(scope.abi(), "{}", [&](std::string_view) {
                std::this_thread::sleep_for(2500ms); // past deadline and grace
                return true;
              });
            },
            &message) == Status::DeadlineExceeded);
  CHECK(message == "in time after all");
  CHECK(provider.faults(PluginFault::Abandoned) == 0);
}

TEST_CASE("a deadline that has long passed leaves the provider its grace all the same") {
  Provider provider("prompt", 20s);
  provider.table.start = [](void *self, const mos_call *, mos_str, mos_error *error) -> mos_status {
    of(self).latch.wait(of(self).latch.opened());
    return fail(error, Status::DeadlineExceeded, "too late for this");
  };
  CallScope scope(0ms);
  mos_call past = *scope.abi();
  past.deadline_ns = 1;
  std::thread opens([&] {
    CHECK(eventually([&] { return provider.latch.inside == 1; }));
    std::this_thread::sleep_for(100ms); // longer than the host looks between two times
    provider.latch.open();
  });
  std::string message;
  CHECK(statusOf([&] { provider.client().start(&past, "ref"); }, &message) == Status::DeadlineExceeded);
  CHECK(message == "too late for this");
  opens.join();
}

TEST_CASE("what a provider must not answer becomes a failure with its name") {
  Provider provider("garbage");
  mos_error error{};
  mos_buf out{};
  const auto *raw = provider.raw();

  CHECK(raw->stats(raw->self, nullptr, toAbi("ref"), &out, &error) == MOS_UNIMPLEMENTED);
  CHECK(has(error.message, "the plugin garbage has no stats()"));

  provider.table.start = [](void *, const mos_call *, mos_str, mos_error *) -> mos_status { return 77; };
  CHECK(raw->start(raw->self, nullptr, toAbi("ref"), &error) == MOS_UNKNOWN);
  CHECK(has(error.message, "the plugin garbage answered the status 77"));

  provider.table.start = [](void *, const mos_call *, mos_str, mos_error *) -> mos_status {
    throw std::runtime_error("thrown on purpose");
  };
  CHECK(raw->start(raw->self, nullptr, toAbi("ref"), &error) == MOS_INTERNAL);
  CHECK(has(error.message, "the plugin garbage threw an exception in start(): thrown on purpose"));
  CHECK(provider.faults(PluginFault::Threw) == 1);
  provider.table.start = [](void *, const mos_call *, mos_str, mos_error *) -> mos_status { throw 42; };
  CHECK(raw->start(raw->self, nullptr, toAbi("ref"), nullptr) == MOS_INTERNAL);

  provider.table.start = [](void *, const mos_call *, mos_str, mos_error *to) -> mos_status {
    std::memset(to, 'x', sizeof *to);
    return MOS_UNAVAILABLE;
  };
  CHECK(raw->start(raw->self, nullptr, toAbi("ref"), &error) == MOS_UNAVAILABLE);
  CHECK(error.status == MOS_UNAVAILABLE);
  CHECK(std::strlen(error.message) == MOS_MESSAGE_SIZE - 1);
  CHECK(std::strlen(error.reason) == MOS_REASON_SIZE - 1);

  provider.table.inspect = [](void *, const mos_call *, mos_str, mos_buf *to, mos_error *) -> mos_status {
    to->len = 5;
    return MOS_OK;
  };
  CHECK(raw->inspect(raw->self, nullptr, toAbi("ref"), &out, &error) == MOS_INTERNAL);
  CHECK(has(error.message, "a length but without content"));
  CHECK(out.ptr == nullptr);

  provider.table.inspect = [](void *, const mos_call *, mos_str, mos_buf *to, mos_error *to_error) -> mos_status {
    give(to, "both");
    return fail(to_error, Status::NotFound, "and a failure");
  };
  CHECK(raw->inspect(raw->self, nullptr, toAbi("ref"), &out, &error) == MOS_NOT_FOUND);
  CHECK(out.ptr == nullptr);
  CHECK(buffersAlive == 0);
}

TEST_CASE("who takes himself away does not wait for himself, also on a watched thread") {
  Provider provider("leaves");
  static std::atomic<bool> alone{false};
  provider.table.start = [](void *self, const mos_call *, mos_str, mos_error *) -> mos_status {
    Provider &mine = of(self);
    alone = mine.registry.withdraw(mine.life, MOS_RUNTIME_1, "", 20s);
    return MOS_OK;
  };
  CallScope scope(60s);
  provider.client().start(scope.abi(), "ref");
  CHECK(alone);

  // The consumer's thread is inside a gate, waits for the provider, and the provider calls the consumer back.
  Provider other("calls-back");
  other.table.list = [](void *, const mos_call *, mos_str, mos_sink sink, mos_error *) -> mos_status {
    sink.item(sink.ctx, toAbi("one"));
    return MOS_OK;
  };
  plugin::CallGate gate;
  const plugin::CallGate::Pass pass = gate.enter();
  bool drained = false;
  other.client().list(scope.abi(), "{}", [&](std::string_view) {
    drained = gate.drain(20s);
    return true;
  });
  CHECK(drained);
}

TEST_CASE("a call without a deadline ends when its provider has stopped without returning") {
  Provider provider("gone");
  provider.table.inspect = &hangInInspect;
  std::thread withdraws([&] {
    CHECK(eventually([&] { return provider.latch.inside == 1; }));
    CHECK(provider.registry.withdrawAll(provider.life, 1ms) == "calls inside its services");
  });
  CHECK(statusOf([&] { provider.client().inspect(nullptr, "ref"); }) == Status::Unavailable);
  withdraws.join();
  provider.latch.open();
  CHECK(eventually([&] { return provider.latch.inside == 0; }));
  CHECK(eventually([&] { return buffersAlive == 0; }));
}

TEST_CASE("a completion that never comes is answered by the host after the deadline") {
  class Silent : public Lifecycle {
  public:
    std::uint64_t ensureRunning(const Call &, std::string_view, std::string_view, Completion &done) override {
      kept.push_back(std::make_unique<Completion>(std::move(done)));
      return 1;
    }
    void forget(std::uint64_t) override {}
    void reportActivity(const mos_activity *, std::uint32_t) override {}
    std::string describe(std::string_view) override { return "{}"; }
    std::vector<std::unique_ptr<Completion>> kept;
  } silent;
  plugin::ServiceRegistry registry{nullptr, plugin::CallLimits{10ms}};
  registry.provide("silent#1", MOS_LIFECYCLE_1, "", silent.table());
  const auto gate = std::make_shared<plugin::CallGate>();
  const LifecycleClient client(
      static_cast<const mos_lifecycle_v1 *>(registry.acquire({"consumer#1", gate}, MOS_LIFECYCLE_1, "")));
  std::promise<Outcome> answered;
  CallScope scope(10ms);
  client.ensureRunning(scope.abi(), "alice", "shell", [&](const Outcome &outcome) { answered.set_value(outcome); });
  auto answer = answered.get_future();
  REQUIRE(answer.wait_for(30s) == std::future_status::ready);
  const Outcome outcome = answer.get();
  CHECK(outcome.status == Status::DeadlineExceeded);
  const auto before = plugin::PendingCalls::instance().strayAnswers();
  silent.kept.front()->succeed("{}");
  CHECK(plugin::PendingCalls::instance().strayAnswers() == before + 1);
  CHECK(plugin::PendingCalls::instance().pending() == 0);
  // One that comes in time is not answered a second time.
  CallScope longer(10s);
  int answers = 0;
  client.ensureRunning(longer.abi(), "alice", "shell", [&](const Outcome &) { ++answers; });
  silent.kept.back()->succeed("{}");
  CHECK(answers == 1);
}

TEST_CASE("a completion or a [loop] function that blocks is counted against its plugin, a quick one is not") {
  class Slow : public Lifecycle {
  public:
    std::uint64_t ensureRunning(const Call &, std::string_view, std::string_view, Completion &done) override {
      done.succeed("{}");
      return 1;
    }
    void forget(std::uint64_t) override { std::this_thread::sleep_for(600ms); }
    void reportActivity(const mos_activity *, std::uint32_t) override {}
    std::string describe(std::string_view) override { return "{}"; }
  } slow;
  plugin::ServiceRegistry registry{nullptr, plugin::CallLimits{10ms}};
  registry.provide("slow-loop#1", MOS_LIFECYCLE_1, "", slow.table());
  const auto *consumer = plugin::PluginScope::tagOf("slow-completion", "1.0.0");
  const LifecycleClient client(static_cast<const mos_lifecycle_v1 *>(
      registry.acquire({"slow-completion#1", std::make_shared<plugin::CallGate>(), consumer}, MOS_LIFECYCLE_1, "")));
  const auto blocked = [](const char *id) { return PluginFaults::instance().count(id, PluginFault::Blocked); };
  const CallScope scope(30s);
  client.describe("");
  client.ensureRunning(scope.abi(), "alice", "shell", [](const Outcome &) {});
  CHECK(blocked("slow-completion") == 0);
  CHECK(blocked("slow-loop") == 0);
  client.forget(1);
  CHECK(blocked("slow-loop") == 1);
  client.ensureRunning(scope.abi(), "alice", "shell", [](const Outcome &) { std::this_thread::sleep_for(600ms); });
  CHECK(blocked("slow-completion") == 1);
  // From then on its completions have threads of their own, and the provider goes on.
  std::promise<void> provider, completion;
  client.ensureRunning(scope.abi(), "alice", "shell", [&](const Outcome &) {
    provider.get_future().wait();
    completion.set_value();
  });
  provider.set_value();
  completion.get_future().wait();
}
