// A runtime for tests that does what the ref it is called with says:
//   crash | abort | exit     at once
//   crash-once:FILE          crashes unless FILE exists, and makes it
//   hang                     for good, whatever the caller wants
//   slow:MS                  takes so long, and stops early when it is told to
//   throw                    an Error with all its fields
//   big:BYTES                answers that many
//   kv:TEXT                  keeps it under a key of its own, big, and answers {"keys", "last", "same", "gone"}
//   anything else            {"ref", "pid", "operation", "trace"}
// Its config key "start" holds such a word for start().
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <thread>

namespace {

using namespace matrixos;

[[noreturn]] void hang() {
  for (;;)
    std::this_thread::sleep_for(std::chrono::hours{1});
}

[[noreturn]] void crash() {
#ifdef SANITIZED // whose handler would write a report about what is meant to happen
  ::signal(SIGSEGV, SIG_DFL);
#endif
  ::raise(SIGSEGV);
  std::abort();
}

#if defined(INNER)
constexpr const char *kInstance = "inner";
#else
constexpr const char *kInstance = "fake";
#endif

#if defined(CRASH_ON_LOAD)
[[maybe_unused]] const bool kLoaded = (crash(), true);
#elif defined(HANG_ON_LOAD)
[[maybe_unused]] const bool kLoaded = (hang(), true);
#elif defined(CHATTY_ON_LOAD)
[[maybe_unused]] const bool kLoaded = (std::cout << "{\"id\":\"somebody\"}" << std::endl, true);
#endif

/// Sleeps until the time is over or the call is.
void sleepFor(const Call &call, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    call.throwIfDone();
    pollfd entry{call.cancelFd(), POLLIN, 0};
    ::poll(&entry, 1, static_cast<int>(call.remaining(time).count()) + 1);
  }
}

/// The key-value store, once there is a plugin.
std::optional<KeyValueStore> &keyValues() {
  static std::optional<KeyValueStore> store;
  return store;
}

std::string useKeyValues(const std::string &text) {
  const KeyValueStore &store = *keyValues();
  const std::string value = text + std::string(60'000, 'v');
  const std::int64_t version = store.put("kept/" + text, value, MOS_KV_ABSENT);
  int keys = 0;
  std::string last;
  store.list("kept/", [&](std::string_view key, std::string_view, std::int64_t) {
    ++keys;
    last = key;
    return true;
  });
  store.put("passing", "");
  store.remove("passing");
  const auto found = store.get("kept/" + text);
  return R"({"keys":)" + std::to_string(keys) + R"(,"last":")" + last + R"(","same":)" +
         (found && found->bytes == value && found->version == version ? "true" : "false") + R"(,"gone":)" +
         (store.get("passing") ? "false" : "true") + "}";
}

std::string act(const Call &call, std::string_view ref) {
  const std::size_t colon = ref.find(':');
  const std::string_view word = ref.substr(0, colon);
  const std::string rest(colon == std::string_view::npos ? "" : ref.substr(colon + 1));
  if (word == "crash") crash();
  if (word == "abort") std::abort();
  if (word == "exit") ::_exit(7);
  if (word == "hang") hang();
  if (word == "crash-once") {
    const int fd = ::open(rest.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) crash();
  }
  if (word == "slow") sleepFor(call, std::chrono::milliseconds{std::atoi(rest.c_str())});
  if (word == "throw") throw Error(Status::Aborted, "it went wrong on purpose, ä", "PORT_IN_USE", 1234);
  if (word == "kv") return useKeyValues(rest);
  if (word == "big") return std::string(static_cast<std::size_t>(std::atoi(rest.c_str())), 'x');
  return R"({"ref":")" + std::string(ref) + R"(","pid":)" + std::to_string(::getpid()) + R"(,"operation":")" +
         std::string(call.operationId()) + R"(","trace":")" + std::string(call.traceId()) + R"("})";
}

class FakeRuntime : public Runtime {
public:
  std::string capabilities(const Call &call) override { return act(call, "capabilities"); }
  std::string create(const Call &call, std::string_view spec) override { return act(call, spec); }
  void start(const Call &call, std::string_view ref) override { act(call, ref); }
  void stop(const Call &call, std::string_view ref, std::chrono::milliseconds) override { act(call, ref); }
  void remove(const Call &call, std::string_view ref, std::uint32_t) override { act(call, ref); }
  std::string inspect(const Call &call, std::string_view ref) override { return act(call, ref); }
  std::string endpoints(const Call &call, std::string_view ref) override { return act(call, ref); }

  /// labels: "COUNT" items, then what is after a space happens.
  void list(const Call &call, std::string_view labels, const ItemFn &item) override {
    const std::size_t space = labels.find(' ');
    const int count = std::atoi(std::string(labels.substr(0, space)).c_str());
    for (int i = 0; i < count; ++i) {
      if (!item(R"({"number":)" + std::to_string(i) + "}")) return;
    }
    if (space != std::string_view::npos) act(call, labels.substr(space + 1));
  }
  /// One item, then nothing until it is told to stop.
  void events(const Call &call, std::string_view, const ItemFn &item) override {
    item(R"({"type":"started"})");
    sleepFor(call, std::chrono::hours{1});
  }
  std::string pull(const Call &, std::string_view, const ItemFn &progress) override {
    for (int i = 0; i < 100000; ++i) {
      if (!progress(std::string(1000, 'p'))) throw Error(Status::Cancelled, "the pull was cancelled");
    }
    return R"({"digest":"d"})";
  }
  void logs(const Call &, std::string_view ref, std::string_view options, const ItemFn &line) override {
    line(std::string(ref) + "/" + std::string(options));
  }
};

class FakePlugin : public Plugin {
public:
  explicit FakePlugin(const mos_host_v1 *host)
      : config_(host), platform_(host), log_(host), metrics_(host), services_(host), timers_(host) {
    if (host->get_interface(host->self, MOS_HOST_KV_1) != nullptr) keyValues().emplace(host);
  }

  void start() override {
    act(Call(nullptr), config_.getString("start"));
    calls_ = metrics_.counter("matrixos_fake_starts_total", "Starts.", {{"mode", "isolated"}});
    calls_.add(1);
    log_.info("fake runtime started", {{"pid", ::getpid()}, {"info", platform_.info()}});
    timers_.every(std::chrono::milliseconds{5}, [this] { calls_.add(1); });
    services_.provide(MOS_RUNTIME_1, kInstance, runtime_.table());
  }
  void stop() override {
    act(Call(nullptr), config_.getString("stop"));
    services_.withdraw(MOS_RUNTIME_1, kInstance);
    timers_.cancelAll();
    log_.info("fake runtime stopped");
  }
  void reconfigure() override { platform_.setDegraded(config_.getString("word")); }

private:
  const Config config_;
  const Platform platform_;
  const Log log_;
  const Metrics metrics_;
  const Services services_;
  Timers timers_;
  Series calls_;
  FakeRuntime runtime_;
};

constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, kInstance, MOS_RUNTIME_1_MINOR, 0}};
constexpr mos_config_key kKeys[] = {
    {"word", "string", "", nullptr, "Why it runs degraded.", MOS_KEY_LIVE, 0},
    {"start", "string", "", nullptr, "What happens in start().", 0, 0},
    {"stop", "string", "", nullptr, "What happens in stop().", 0, 0},
};

} // namespace

MATRIXOS_PLUGIN(FakePlugin, matrixos::Descriptor(FAKE_ID, "Fake runtime", "1.0.0")
                                .vendor("Tests")
                                .description("Does what it is told.")
                                .provides(kProvides)
                                .configKeys(kKeys))
