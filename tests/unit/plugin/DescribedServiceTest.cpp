// Services that describe themselves: the host does for them what it does for those of the SDK.
#include "common/ServiceDescription.h"
#include "fakes/services/greeter.h"
#include "plugin/PendingCalls.h"
#include "plugin/PluginFaults.h"
#include "plugin/ServiceRegistry.h"
#include "support/Errors.h"
#include "support/Wait.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::common;
using namespace std::chrono_literals;
using test::errorOf;
using test::eventually;

namespace {

MOS_DESCRIBE_SERVICE(kGreeter, EXAMPLE_GREETER_1, EXAMPLE_GREETER_1_MINOR, EXAMPLE_GREETER_1_FUNCTIONS)

/// A provider as a plugin would be one.
struct Greeter {
  explicit Greeter(std::string is, std::uint32_t tableSize = sizeof(example_greeter_v1)) : name(std::move(is)) {
    table.struct_size = tableSize;
    table.self = this;
    table.greet = [](void *self, const mos_call *call, mos_str who, std::int64_t times, mos_buf *out,
                     mos_error *error) {
      return guarded(error, [&] {
        const Inside here(of(self));
        if (fromAbi(who) == "slow") {
          std::unique_lock lock(of(self).mutex);
          of(self).waits = true;
          of(self).released.wait(lock, [&] { return of(self).open; });
        }
        giveBuffer(out, of(self).name + " greets " + std::string(fromAbi(who)) + " " + std::to_string(times) +
                            " times for " + std::string(fromAbi(call->operation_id)));
      });
    };
    table.names = [](void *, const mos_call *, mos_sink items, mos_error *) -> mos_status {
      for (const char *item : {"ada", "bob", "eve"}) {
        if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
      }
      return MOS_OK;
    };
    table.count = [](void *self, const mos_call *, mos_completion done, std::uint64_t *out, mos_error *) -> mos_status {
      *out = 7;
      of(self).pending = done;
      return MOS_OK;
    };
    table.listen = [](void *self, std::uint64_t since, mos_str prefix, example_listener listener, std::uint64_t *out,
                      mos_error *) -> mos_status {
      *out = 100 + ++of(self).last;
      of(self).listeners[*out] = listener;
      of(self).seen.push_back(std::to_string(since) + std::string(fromAbi(prefix)));
      return MOS_OK;
    };
    table.unlisten = [](void *self, std::uint64_t id, mos_error *error) -> mos_status {
      return of(self).listeners.erase(id) == 1 ? MOS_OK : fail(error, Status::NotFound, "no such listener");
    };
    table.forget = [](void *self, std::uint32_t most, mos_error *) -> mos_status {
      of(self).forgotten = most;
      return MOS_OK;
    };
    table.follow = [](void *self, const mos_call *call, mos_sink items, mos_error *) -> mos_status {
      items.item(items.ctx, toAbi("ada"));
      of(self).follows = true;
      pollfd cancelled{call->cancel_fd, POLLIN, 0};
      ::poll(&cancelled, 1, -1);
      CHECK(call->cancelled(call) == 1);
      CHECK(items.item(items.ctx, toAbi("too late")) == MOS_SINK_STOP);
      return MOS_CANCELLED;
    };
  }
  /// Calls that were given up are let out first.
  ~Greeter() {
    release();
    std::unique_lock lock(mutex);
    left.wait(lock, [&] { return inside == 0; });
  }
  Greeter(const Greeter &) = delete;
  Greeter &operator=(const Greeter &) = delete;

  /// A call of greet().
  struct Inside {
    explicit Inside(Greeter &of) : greeter(of) {
      const std::lock_guard lock(greeter.mutex);
      ++greeter.inside;
    }
    ~Inside() {
      const std::lock_guard lock(greeter.mutex);
      --greeter.inside;
      greeter.left.notify_all();
    }
    Greeter &greeter;
  };

  static Greeter &of(void *self) { return *static_cast<Greeter *>(self); }
  void release() {
    const std::lock_guard lock(mutex);
    open = true;
    released.notify_all();
  }

  const std::string name;
  example_greeter_v1 table{};
  std::mutex mutex;
  std::condition_variable released, left;
  bool open = false;
  int inside = 0;
  mos_completion pending{};
  std::map<std::uint64_t, example_listener> listeners;
  std::vector<std::string> seen;
  std::uint64_t last = 0;
  std::uint32_t forgotten = 0;
  std::atomic<bool> follows{false}, waits{false};
};

struct Fixture {
  Fixture() { ServiceCatalogue::instance().add(ServiceDescription::read(kGreeter)); }

  void provide(Greeter &greeter) { registry.provide(greeter.name + "#1", EXAMPLE_GREETER_1, "main", &greeter.table); }
  void withdraw(const Greeter &greeter) {
    CHECK(registry.withdraw(greeter.name + "#1", EXAMPLE_GREETER_1, "main", 10s));
  }
  const example_greeter_v1 *consumer(const std::string &id = "consumer") {
    return static_cast<const example_greeter_v1 *>(
        registry.acquire({id, std::make_shared<plugin::CallGate>()}, EXAMPLE_GREETER_1, "main"));
  }
  static std::string greet(const example_greeter_v1 *table, std::string_view name,
                           std::chrono::milliseconds time = 30s) {
    const CallScope call(time, "op-1");
    Buffer out;
    check([&](mos_error *e) { return table->greet(table->self, call.abi(), toAbi(name), 3, out.out(), e); });
    return out.str();
  }

  std::vector<std::string> calls, changes;
  plugin::ServiceRegistry registry{[this](const std::string &service, const std::string &function, bool) {
                                     return [this, service, function](mos_status status, double) {
                                       calls.push_back(service + " " + function + " " + std::to_string(status));
                                     };
                                   },
                                   plugin::CallLimits{50ms},
                                   [this](const auto &entry, bool provided) {
                                     changes.push_back(entry.plugin + (provided ? " provides " : " withdraws ") +
                                                       entry.service + " " + entry.instance);
                                   }};
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a described service is proxied: arguments, items, answers, and providers that change") {
  const example_greeter_v1 *table = consumer(); // before anybody provides it
  CHECK(errorOf([&] { greet(table, "ada"); }).status() == Status::Unavailable);
  Greeter first("first"), second("second");
  provide(first);
  CHECK(greet(table, "ada") == "first greets ada 3 times for op-1");
  std::string names;
  SinkOf sink([&](std::string_view item) {
    names += item;
    return item != "bob";
  });
  const CallScope call(30s);
  CHECK(table->names(table->self, call.abi(), sink.abi(), nullptr) == MOS_OK);
  CHECK(names == "adabob");
  CHECK(table->forget(table->self, 5, nullptr) == MOS_OK);
  CHECK(first.forgotten == 5);
  withdraw(first);
  CHECK(errorOf([&] { greet(table, "ada"); }).reason() == "SERVICE_UNAVAILABLE");
  provide(second);
  CHECK(greet(table, "ada") == "second greets ada 3 times for op-1");
  CHECK(calls.front() == "example.greeter/1 greet 14");
  CHECK(calls.back() == "example.greeter/1 greet 0");
  withdraw(second);
}

TEST_CASE_FIXTURE(Fixture, "a described function that blocks is given up after its deadline") {
  Greeter greeter("sleepy");
  provide(greeter);
  const Error late = errorOf([&] { greet(consumer(), "slow", 50ms); });
  CHECK(late.status() == Status::DeadlineExceeded);
  CHECK(late.reason() == "PLUGIN_HANGS");
  CHECK(std::string(late.what()).find("sleepy does not return from greet()") != std::string::npos);
  greeter.release();
  withdraw(greeter);
}

TEST_CASE_FIXTURE(Fixture, "a completion of a described function is answered once, by the provider or by the host") {
  Greeter greeter("counting");
  provide(greeter);
  const example_greeter_v1 *table = consumer();
  std::vector<mos_status> answers;
  const mos_completion done{&answers, [](void *ctx, mos_status status, mos_str, const mos_error *) {
                              static_cast<std::vector<mos_status> *>(ctx)->push_back(status);
                            }};
  std::uint64_t count = 0;
  const CallScope call(30s);
  CHECK(table->count(table->self, call.abi(), done, &count, nullptr) == MOS_OK);
  CHECK(count == 7);
  const mos_completion given = greeter.pending;
  given.done(given.ctx, MOS_OK, toAbi("{}"), nullptr);
  given.done(given.ctx, MOS_OK, toAbi("{}"), nullptr);
  CHECK(answers == std::vector<mos_status>{MOS_OK});
  CHECK(table->count(table->self, call.abi(), done, &count, nullptr) == MOS_OK);
  plugin::PendingCalls::instance().sweep("counting#1");
  CHECK(answers == std::vector<mos_status>{MOS_OK, MOS_UNAVAILABLE});
  withdraw(greeter);
}

TEST_CASE_FIXTURE(Fixture, "a watch goes on with the next provider, from its beginning, and ends with its consumer") {
  const example_greeter_v1 *table = consumer("listening");
  int greeted = 0;
  const example_listener listener{&greeted, [](void *ctx, mos_str) { ++*static_cast<int *>(ctx); }};
  std::uint64_t id = 0, other = 0;
  {
    std::string prefix = "b";
    CHECK(table->listen(table->self, 41, toAbi(prefix), listener, &id, nullptr) == MOS_OK);
    prefix = "x";
  }
  Greeter first("first"), second("second");
  provide(first);
  CHECK(table->listen(table->self, 42, toAbi("c"), listener, &other, nullptr) == MOS_OK);
  CHECK(first.seen == std::vector<std::string>{"0b", "42c"});
  for (const auto &[given, to] : first.listeners)
    to.greeted(to.ctx, toAbi("bob"));
  CHECK(greeted == 2);
  withdraw(first);
  provide(second);
  CHECK(second.seen == std::vector<std::string>{"0b", "0c"});
  CHECK(table->unlisten(table->self, id, nullptr) == MOS_OK);
  CHECK(table->unlisten(table->self, id, nullptr) == MOS_NOT_FOUND);
  CHECK(second.listeners.size() == 1);
  registry.sweepConsumer("listening");
  CHECK(second.listeners.empty());
  withdraw(second);
}

TEST_CASE_FIXTURE(Fixture, "a table ends where its provider's minor does") {
  Greeter old("old", offsetof(example_greeter_v1, forget));
  provide(old);
  mos_error error{};
  const example_greeter_v1 *table = consumer();
  CHECK(table->forget(table->self, 1, &error) == MOS_UNIMPLEMENTED);
  CHECK(greet(table, "ada") == "old greets ada 3 times for op-1");
  withdraw(old);
  Greeter small("small", offsetof(example_greeter_v1, unlisten));
  CHECK(errorOf([&] { provide(small); }).reason() == "SERVICE_TABLE");
}

TEST_CASE_FIXTURE(Fixture, "a forwarder takes the functions by their numbers") {
  struct Numbers : mos_forwarder_v1 {
    std::vector<std::uint32_t> called;
  } numbers;
  numbers.call = [](mos_forwarder_v1 *self, std::uint32_t function, void *const *args) -> mos_status {
    static_cast<Numbers *>(self)->called.push_back(function);
    if (function == 0)
      giveBuffer(*static_cast<mos_buf **>(args[3]), std::string(fromAbi(*static_cast<mos_str *>(args[1]))));
    return MOS_OK;
  };
  registry.provide("numbers#1", EXAMPLE_GREETER_1, "main", &numbers, 0);
  const example_greeter_v1 *table = consumer();
  CHECK(greet(table, "eve") == "eve");
  CHECK(table->forget(table->self, 1, nullptr) == MOS_UNIMPLEMENTED); // minor 1
  CHECK(numbers.called == std::vector<std::uint32_t>{0});
  CHECK(registry.withdraw("numbers#1", EXAMPLE_GREETER_1, "main", 10s));
}

TEST_CASE_FIXTURE(Fixture, "who calls by numbers needs no functions of a service, only what others said of it") {
  constexpr const char *kId = "example.elsewhere/1";
  ServiceDescription elsewhere = ServiceDescription::read(kGreeter);
  elsewhere.id = kId;
  const auto add = [&] { ServiceCatalogue::instance().add(elsewhere); };
  ServiceDescription callable = elsewhere;
  for (ServiceFunction &function : elsewhere.functions) {
    function.entry = nullptr;
    function.invoke = nullptr;
  }
  add();
  struct Echo : mos_forwarder_v1 {
  } echo;
  echo.call = [](mos_forwarder_v1 *, std::uint32_t, void *const *args) -> mos_status {
    giveBuffer(*static_cast<mos_buf **>(args[3]), std::string(fromAbi(*static_cast<mos_str *>(args[1]))));
    return MOS_OK;
  };
  const plugin::ServiceConsumer user{"user#1", std::make_shared<plugin::CallGate>(),
                                     plugin::PluginScope::tagOf("user")};
  const auto acquire = [&] { return registry.acquire(user, kId, "main", true); };
  const auto call = [](const void *table, Buffer &out) {
    const mos_call *context = nullptr;
    mos_str name = toAbi("eve");
    std::int64_t times = 1;
    mos_buf *to = out.out();
    mos_error *error = nullptr;
    void *const args[] = {&context, &name, &times, &to, &error};
    auto *forwarder = static_cast<mos_forwarder_v1 *>(selfOf(table));
    return forwarder->call(forwarder, 0, args);
  };
  const void *table = acquire();
  const bool empty = functionOf(table, 0) == nullptr;
  CHECK(empty);
  Buffer none, answer, unheard, there;
  CHECK(call(table, none) == MOS_UNAVAILABLE);
  registry.provide("echo#1", kId, "main", &echo, EXAMPLE_GREETER_1_MINOR);
  CHECK(call(table, answer) == MOS_OK);
  CHECK(answer.str() == "eve");
  CHECK(errorOf([&] { registry.acquire(user, kId, "main"); }).status() == Status::Unavailable);
  CHECK(registry.withdraw("echo#1", kId, "main", 10s));
  // A table of functions cannot be called by what was said elsewhere, but by a description that came with them.
  Greeter greeter("elsewhere");
  registry.provide("elsewhere#1", kId, "main", &greeter.table);
  CHECK(call(table, unheard) == MOS_UNIMPLEMENTED);
  elsewhere = callable;
  add();
  const void *renewed = acquire();
  CHECK(renewed != table);
  CHECK(greet(static_cast<const example_greeter_v1 *>(renewed), "eve") == "elsewhere greets eve 3 times for op-1");
  registry.release("user#1", table);
  registry.release("user#1", renewed);
  CHECK(registry.withdraw("elsewhere#1", kId, "main", 10s));
}

TEST_CASE_FIXTURE(Fixture, "a table that was released is refused and watches nothing, until it is acquired again") {
  Greeter greeter("released");
  provide(greeter);
  const auto gate = std::make_shared<plugin::CallGate>();
  const plugin::ServiceConsumer keeper{"keeper#1", gate, plugin::PluginScope::tagOf("keeper")};
  const auto acquire = [&] {
    return static_cast<const example_greeter_v1 *>(registry.acquire(keeper, EXAMPLE_GREETER_1, "main"));
  };
  const example_greeter_v1 *table = acquire();
  CHECK(acquire() == table);
  int greeted = 0;
  const example_listener listener{&greeted, [](void *ctx, mos_str) { ++*static_cast<int *>(ctx); }};
  std::uint64_t id = 0;
  CHECK(table->listen(table->self, 0, toAbi("a"), listener, &id, nullptr) == MOS_OK);
  registry.release("keeper#1", table); // one of two
  CHECK(greet(table, "ada") == "released greets ada 3 times for op-1");
  CHECK(greeter.listeners.size() == 1);
  registry.release("keeper#1", table);
  CHECK(greeter.listeners.empty());
  const auto faults = [] { return plugin::PluginFaults::instance().count("keeper", plugin::PluginFault::Trespass); };
  const std::uint64_t before = faults();
  CHECK(errorOf([&] { greet(table, "ada"); }).reason() == "TABLE_RELEASED");
  CHECK(faults() == before + 1);
  CHECK(errorOf([&] { registry.release("keeper#1", table); }).status() == Status::NotFound);
  CHECK(acquire() == table);
  CHECK(greet(table, "ada") == "released greets ada 3 times for op-1");
  withdraw(greeter);
}

TEST_CASE_FIXTURE(Fixture, "a provider that leaves is waited for, and streams of what happens end") {
  Greeter greeter("leaving");
  provide(greeter);
  const example_greeter_v1 *table = consumer();
  mos_status followed = MOS_OK, answered = MOS_UNKNOWN;
  std::string items;
  std::thread follower([&] {
    SinkOf sink([&](std::string_view item) {
      items += item;
      return true;
    });
    const CallScope call(60s);
    mos_error error{};
    followed = table->follow(table->self, call.abi(), sink.abi(), &error);
  });
  std::thread caller([&] {
    greet(table, "slow", 60s);
    answered = MOS_OK;
  });
  CHECK(eventually([&] { return greeter.follows.load() && greeter.waits.load(); }));
  registry.closeProvider("leaving#1", 1ms); // no time for greet(), which goes on
  follower.join();
  CHECK(followed == MOS_UNAVAILABLE);
  CHECK(items == "ada");
  CHECK(errorOf([&] { greet(table, "bob"); }).reason() == "SERVICE_UNAVAILABLE");
  greeter.release();
  caller.join();
  CHECK(answered == MOS_OK);
  CHECK(registry.withdrawAll("leaving#1", 10s).empty());
  CHECK(changes == std::vector<std::string>{"leaving provides example.greeter/1 main",
                                            "leaving withdraws example.greeter/1 main"});
}

TEST_CASE("whoever was withdrawn is not called any more, however many call while it leaves") {
  ServiceCatalogue::instance().add(ServiceDescription::read(kGreeter));
  plugin::ServiceRegistry registry{nullptr};
  struct Provider {
    explicit Provider(std::atomic<int> &late) : lateCalls(late) {
      table.struct_size = sizeof table;
      table.self = this;
      table.forget = [](void *self, std::uint32_t, mos_error *) -> mos_status {
        auto &provider = *static_cast<Provider *>(self);
        if (!provider.here) ++provider.lateCalls;
        return MOS_OK;
      };
    }
    example_greeter_v1 table{};
    std::atomic<bool> here{true};
    std::atomic<int> &lateCalls;
  };
  std::atomic<int> late{0}, served{0}, others{0};
  std::deque<Provider> providers; // all stay, so that who is called too late can tell
  std::atomic<bool> stop{false};
  std::vector<std::thread> callers;
  for (const char *place : {"main", "main", "other"}) {
    const auto *table = static_cast<const example_greeter_v1 *>(registry.acquire(
        {std::string("caller-of-") + place, std::make_shared<plugin::CallGate>()}, EXAMPLE_GREETER_1, place));
    callers.emplace_back([&, table] {
      while (!stop) {
        const mos_status status = table->forget(table->self, 1, nullptr);
        ++(status == MOS_OK ? served : status == MOS_UNAVAILABLE ? others : late);
      }
    });
  }
  for (int i = 0; i < 1000 || served == 0 || others == 0; ++i) {
    // Two places, whose providers use each other's memory again.
    for (const char *place : {"main", "other"}) {
      Provider &provider = providers.emplace_back(late);
      const std::string id = "plugin#" + std::to_string(providers.size());
      registry.provide(id, EXAMPLE_GREETER_1, place, &provider.table);
      if (i % 16 == 0) std::this_thread::yield();
      REQUIRE(registry.withdraw(id, EXAMPLE_GREETER_1, place, 60s));
      provider.here = false;
    }
  }
  stop = true;
  for (std::thread &caller : callers)
    caller.join();
  CHECK(late == 0);
}

TEST_CASE_FIXTURE(Fixture, "a withdrawal says when calls are left inside") {
  Greeter greeter("busy");
  provide(greeter);
  const example_greeter_v1 *table = consumer();
  std::thread caller([&] { CHECK_THROWS_AS(greet(table, "slow", 60s), Error); });
  CHECK(eventually([&] { return greeter.waits.load(); }));
  CHECK_FALSE(registry.withdraw("busy#1", EXAMPLE_GREETER_1, "main", 1ms));
  caller.join(); // nobody waits for it any more
  greeter.release();
}

TEST_CASE_FIXTURE(Fixture, "who names no instance gets the one without a name where one is to come") {
  Greeter base("base"), front("front");
  const auto acquire = [&] {
    return registry.acquire({"user", std::make_shared<plugin::CallGate>()}, EXAMPLE_GREETER_1, "");
  };
  registry.provide("base#1", EXAMPLE_GREETER_1, "base", &base.table);
  const void *only = acquire();
  registry.expect({{{EXAMPLE_GREETER_1, "", "front"}, true}});
  CHECK(errorOf([&] { acquire(); }).status() == Status::Unavailable); // never past the one in front
  registry.provide("front#1", EXAMPLE_GREETER_1, "", &front.table);
  const auto *table = static_cast<const example_greeter_v1 *>(acquire());
  CHECK(table != only);
  CHECK(greet(table, "ada") == "front greets ada 3 times for op-1");
  CHECK(registry.withdrawAll("front#1", 1s).empty());
  CHECK(errorOf([&] { acquire(); }).status() == Status::Unavailable);
  CHECK(registry.withdrawAll("base#1", 1s).empty());
}

TEST_CASE("what is wrong with a description is said") {
  const auto whatOf = [](auto &&change) {
    std::vector<mos_function_v1> functions(std::begin(kGreeter_functions), std::end(kGreeter_functions));
    mos_service_v1 service = kGreeter;
    change(service, functions);
    service.functions = functions.data();
    service.functions_count = static_cast<std::uint32_t>(functions.size());
    return std::string(errorOf([&] { ServiceCatalogue::instance().add(ServiceDescription::read(service)); }).what());
  };
  using Functions = std::vector<mos_function_v1>;
  const auto has = [](const std::string &text, const std::string &part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(whatOf([](mos_service_v1 &s, Functions &) { s.id = ""; }), "it has no id");
  has(whatOf([](mos_service_v1 &, Functions &f) { f.clear(); }), "1 to 64 functions");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[0].invoke = nullptr; }), "greet() has no entry, or no invoke");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[0].parameters = "cswb"; }), "greet() has a parameter 'w'");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[2].parameters = "x"; }), "count() has a parameter 'x'");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[2].parameters = "dd"; }), "more than one parameter 'd'");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[2].parameters = "uuuuuuu"; }), "too many parameters");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[3].flags = 0; }), "listen() has to be a WATCH");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[3].parameters = "cUwt"; }), "those of a watch are of sjiuUtwW");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[4].parameters = "u"; }), "unlisten() ends a watch");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[5].minor = 9; }), "forget() is of a wrong minor");
  has(whatOf([](mos_service_v1 &, Functions &f) { f[1].name = "greet"; }), "greet() comes twice");
  // The same major says the same, whoever says it.
  ServiceCatalogue::instance().add(ServiceDescription::read(kGreeter));
  has(whatOf([](mos_service_v1 &, Functions &f) { f[0].parameters = "cssb"; }), "a change is a new major");
  CHECK(ServiceCatalogue::instance().find(EXAMPLE_GREETER_1)->functions.size() == 7);
}
