// A runtime for tests whose inspect() uses services of others, as the ref says:
//   echo:TEXT [in MS]    what example.desk/1 answers, within so many milliseconds
//   count:N,BYTES        {"items": how many came, "bytes"}; with ",stop" it stops at the third
//   ask:TEXT             {"status", "answer", "number"} of an asynchronous function
//   peek:TEXT            what that answers; letters:TEXT likewise
//   inner:REF            inspect() of another runtime, "inner"
//   die:TEXT             crashes while echo:TEXT is under way
//   flood:N              makes N calls at once; {"good", "busy", "bad"}
//   many:N               as many calls that are never answered; {"good", "busy", "bad"}
//   released             a call after its table was released
//   undeclared           an instance that is not in its descriptor; undescribed: a service that nobody described
//   fetch:URL            {"status", "head", "bytes"}; fetch!URL the same from a private address
//   post:TEXT            puts it in the outbox; of texts that begin with "again" the first attempt of a process fails
//   list                 what is in the outbox; with:table puts an item and writes a table
//   sent                 {"sent", "attempts", "pid"} of this process
//   seen                 {"came", "went", "pid"}: providers of example.desk/1
//   anything else        {"ref", "pid"}
#include "services/desk.h"

#include <matrixos/host/fetch.hpp>
#include <matrixos/host/outbox.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace matrixos;

MOS_DESCRIBE_SERVICE(kDesk, EXAMPLE_DESK_1, EXAMPLE_DESK_1_MINOR, EXAMPLE_DESK_1_FUNCTIONS)
constexpr const mos_service_v1 *kServices[] = {&kDesk};
constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, "fake", MOS_RUNTIME_1_MINOR, 0}};
constexpr mos_need kNeeds[] = {{EXAMPLE_DESK_1, 0, MOS_NEED_OPTIONAL}, {MOS_RUNTIME_1 ":inner", 0, MOS_NEED_OPTIONAL}};

std::string numbers(std::initializer_list<std::pair<const char *, long>> all) {
  std::string json;
  for (const auto &[name, value] : all)
    json += (json.empty() ? "{\"" : ",\"") + std::string(name) + "\":" + std::to_string(value);
  return json + "}";
}

/// The answer of an asynchronous call, whose thread waits for it.
struct Answer {
  std::mutex mutex;
  std::condition_variable changed;
  int times = 0;
  mos_status status = MOS_OK;
  std::string json;

  mos_completion completion() {
    return {this, [](void *ctx, mos_status answered, mos_str text, const mos_error *) {
              auto &answer = *static_cast<Answer *>(ctx);
              const std::lock_guard lock(answer.mutex);
              ++answer.times;
              answer.status = answered;
              answer.json = fromAbi(text);
              answer.changed.notify_all();
            }};
  }
};

class Relay : public Runtime {
public:
  explicit Relay(const mos_host_v1 *host) : services_(host), events_(host), fetch_(host), outbox_(host) {}

  void begin() {
    events_.subscribe("service.", [this](std::string_view topic, std::string_view json) {
      if (json.find(EXAMPLE_DESK_1) != std::string_view::npos) ++(topic == MOS_EVENT_SERVICE_PROVIDED ? came_ : went_);
    });
    try {
      outbox_.begin([this](const mos_call *, const OutboxDelivery &delivery) {
        ++attempts_;
        if (delivery.payload.rfind("again", 0) == 0 && !failed_.exchange(true))
          return OutboxVerdict::retry("not yet", std::chrono::milliseconds{20});
        if (delivery.payload == "drop") return OutboxVerdict::drop();
        ++sent_;
        return OutboxVerdict::done();
      });
    } catch (const Error &) { // a host without one
    }
  }

  void end() const {
    try {
      outbox_.end();
    } catch (const Error &) {
    }
  }

  std::string inspect(const Call &call, std::string_view ref) override {
    const std::size_t colon = ref.find(':');
    const std::string word(ref.substr(0, colon)), rest(colon == std::string_view::npos ? "" : ref.substr(colon + 1));
    if (word == "echo") return echo(call, rest);
    if (word == "count") return count(call, rest);
    if (word == "ask") return ask(call, rest);
    if (word == "peek") return peek(rest);
    if (word == "letters") return letters(rest);
    if (word == "inner") return inner(call, rest);
    if (word == "die") die(rest);
    if (word == "flood" || word == "many") return flood(std::atoi(rest.c_str()), word == "many");
    if (word == "released") return released(call);
    if (word == "undeclared") services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, "other");
    if (word == "undescribed") services_.lease<example_desk_v1>("example.other/1");
    if (word.rfind("fetch", 0) == 0) return fetch(call, std::string(ref.substr(6)), ref[5] == '!');
    if (word == "post") return post(rest);
    if (word == "with") outbox_.put({{"t", "i", "p"}}, {{"UPDATE fake_relay_x SET a = 1", {}}});
    if (word == "list") return listed();
    if (word == "sent") return numbers({{"sent", sent_}, {"attempts", attempts_}, {"pid", ::getpid()}});
    if (word == "seen") return numbers({{"came", came_}, {"went", went_}, {"pid", ::getpid()}});
    return R"({"ref":")" + std::string(ref) + R"(","pid":)" + std::to_string(::getpid()) + "}";
  }
  std::string capabilities(const Call &) override { return "{}"; }
  std::string create(const Call &, std::string_view) override { return "{}"; }
  void start(const Call &, std::string_view) override {}
  void stop(const Call &, std::string_view, std::chrono::milliseconds) override {}
  void remove(const Call &, std::string_view, std::uint32_t) override {}
  std::string endpoints(const Call &, std::string_view) override { return "{}"; }
  void list(const Call &, std::string_view, const ItemFn &) override {}
  std::string pull(const Call &, std::string_view, const ItemFn &) override { return "{}"; }
  void logs(const Call &, std::string_view, std::string_view, const ItemFn &) override {}
  void events(const Call &, std::string_view, const ItemFn &) override {}

private:
  std::shared_ptr<const example_desk_v1> desk() const { return services_.lease<example_desk_v1>(EXAMPLE_DESK_1); }

  std::string echo(const Call &call, const std::string &text) const {
    const std::size_t in = text.find(" in ");
    const CallScope within(in == std::string::npos ? std::chrono::milliseconds{60'000}
                                                   : std::chrono::milliseconds{std::atoi(text.c_str() + in + 4)},
                           std::string(call.operationId()), std::string(call.traceId()));
    const auto table = desk();
    Buffer out;
    check([&](mos_error *e) {
      return table->echo(table->self, within.abi(), toAbi(std::string_view(text).substr(0, in)), out.out(), e);
    });
    return out.str();
  }

  std::string count(const Call &call, const std::string &text) const {
    const std::size_t comma = text.find(',');
    const bool stops = text.find(",stop") != std::string::npos;
    long items = 0, bytes = 0;
    SinkOf sink([&](std::string_view item) {
      bytes += static_cast<long>(item.size());
      return ++items < 3 || !stops;
    });
    const auto table = desk();
    check([&](mos_error *e) {
      return table->count(table->self, call.abi(), std::atoi(text.c_str()),
                          static_cast<std::uint32_t>(std::atoi(text.c_str() + comma + 1)), sink.abi(), e);
    });
    return numbers({{"items", items}, {"bytes", bytes}});
  }

  std::string ask(const Call &call, const std::string &text) const {
    const auto table = desk();
    Answer answer;
    std::uint64_t number = 0;
    check([&](mos_error *e) {
      return table->ask(table->self, call.abi(), toAbi(text), answer.completion(), &number, e);
    });
    std::unique_lock lock(answer.mutex);
    answer.changed.wait(lock, [&] { return answer.times > 0; });
    return numbers({{"status", answer.status}, {"number", static_cast<long>(number)}, {"times", answer.times}}) +
           answer.json;
  }

  std::string peek(const std::string &text) const {
    const auto table = desk();
    Buffer out;
    check([&](mos_error *e) { return table->peek(table->self, toAbi(text), out.out(), e); });
    return out.str();
  }

  std::string letters(const std::string &text) const {
    const auto table = desk();
    std::string all;
    SinkOf sink([&](std::string_view item) {
      all += std::string(item) + "-";
      return true;
    });
    check([&](mos_error *e) { return table->letters(table->self, toAbi(text), sink.abi(), e); });
    return all;
  }

  std::string inner(const Call &call, const std::string &ref) const {
    const RuntimeClient runtime(services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, "inner"));
    return runtime.inspect(call.abi(), ref);
  }

  [[noreturn]] void die(const std::string &text) const {
    std::thread([this, text] { echo(Call(nullptr), text); }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds{200}); // it is on its way, or will never be
#ifdef SANITIZED
    ::signal(SIGSEGV, SIG_DFL);
#endif
    ::raise(SIGSEGV);
    std::abort();
  }

  std::string flood(int calls, bool never) const {
    std::atomic<long> good{0}, busy{0}, bad{0};
    const auto table = desk();
    static Answer answers; // of calls that are not answered while this function runs
    std::vector<std::thread> threads;
    for (int i = 0; i < (never ? 1 : calls); ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < (never ? calls : 1); ++n) {
          mos_error error{};
          Buffer out;
          std::uint64_t number = 0;
          const mos_status status =
              never ? table->ask(table->self, nullptr, toAbi("never"), answers.completion(), &number, &error)
                    : table->echo(table->self, nullptr, toAbi("slow:300"), out.out(), &error);
          ++(status == MOS_OK ? good : status == MOS_RESOURCE_EXHAUSTED ? busy : bad);
        }
      });
    }
    for (std::thread &thread : threads)
      thread.join();
    return numbers({{"good", good}, {"busy", busy}, {"bad", bad}});
  }

  std::string fetch(const Call &call, const std::string &url, bool fromPrivate) const {
    FetchRequest request{url};
    request.headers = {{"X-Asked", "by the relay"}};
    request.allowPrivate = fromPrivate;
    const FetchAnswer answer = fetch_.send(request, call.abi());
    return numbers({{"status", static_cast<long>(answer.status)}, {"bytes", static_cast<long>(answer.body.size())}}) +
           std::string(answer.header("x-answer").value_or("")) + answer.body.substr(0, 100);
  }

  std::string post(const std::string &text) const {
    outbox_.put({{"there", text, text}});
    return "{}";
  }

  std::string listed() const {
    std::string all;
    outbox_.list(false, [&](std::string_view item) {
      all += item;
      return true;
    });
    return "[" + all + "]";
  }

  std::string released(const Call &call) const {
    const example_desk_v1 *table = nullptr;
    {
      const auto held = desk();
      table = held.get();
    }
    Buffer out;
    check([&](mos_error *e) { return table->echo(table->self, call.abi(), toAbi("x"), out.out(), e); });
    return out.str();
  }

  const Services services_;
  Events events_;
  const Fetch fetch_;
  Outbox outbox_;
  std::atomic<int> came_{0}, went_{0}, sent_{0}, attempts_{0};
  std::atomic<bool> failed_{false};
};

class FakeRelay : public Plugin {
public:
  explicit FakeRelay(const mos_host_v1 *host) : services_(host), relay_(host) {}
  void start() override {
    relay_.begin();
    services_.provide(MOS_RUNTIME_1, "fake", relay_.table());
  }
  void stop() override {
    relay_.end();
    services_.withdraw(MOS_RUNTIME_1, "fake");
  }

private:
  const Services services_;
  Relay relay_;
};

} // namespace

MATRIXOS_PLUGIN(FakeRelay, matrixos::Descriptor("fake-relay", "Relay", "1.0.0")
                               .vendor("Tests")
                               .provides(kProvides)
                               .needs(kNeeds)
                               .services(kServices))
