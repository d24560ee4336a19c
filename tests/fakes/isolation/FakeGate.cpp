// Decides who reaches instances (matrixos.policy/1) and who asks the API (matrixos.identity/1), as the request says in
// X-Gate, or as "Bearer gate-WORD":
//   ask, soon    asks another plugin, the runtime "fake": yes when that answers within ten seconds, or one
//   crash        asks it for what it crashes at
//   never        never answers
//   nonsense     answers what nobody understands
//   block        does not return, which neither may do: the policy never, who knows the API's people until
//   release      is said to the policy, which says yes
//   die          brings the daemon down
//   anything     yes at once
#include <matrixos/abi/runtime.h>
#include <matrixos/identity.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/policy.hpp>
#include <matrixos/runtime.hpp>

#include <signal.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace matrixos;

/// What both services do with a word.
class Keeper {
public:
  explicit Keeper(const mos_host_v1 *host) : services_(host), executor_(host) {}

  static bool takesTime(std::string_view word) {
    return word == "ask" || word == "soon" || word == "crash" || word == "never" || word == "nonsense";
  }
  void block() {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this, before = releases_] { return releases_ != before; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    ++releases_;
    released_.notify_all();
  }
  void findOut(std::string_view word, Completion &done, std::string yes) {
    if (word == "nonsense") return done.succeed(R"({"verdict":"perhaps","kind":"somebody"})");
    if (word == "never") {
      const std::lock_guard lock(mutex_);
      never_.push_back(std::move(done));
      return;
    }
    const auto kept = std::make_shared<Completion>(std::move(done));
    const std::string ref = word == "crash" ? "crash" : "x";
    const std::chrono::seconds patience{word == "soon" ? 1 : 10};
    executor_.submit([this, kept, ref, patience, yes = std::move(yes)] {
      try {
        const CallScope call(patience);
        const auto table = services_.lease<mos_runtime_v1>(MOS_RUNTIME_1, "fake");
        RuntimeClient(table.get()).inspect(call.abi(), ref);
        kept->succeed(yes);
      } catch (const Error &e) {
        kept->fail(e);
      }
    });
  }

private:
  const Services services_;
  const Executor executor_;
  std::mutex mutex_;
  std::condition_variable released_;
  int releases_ = 0;
  std::vector<Completion> never_;
};

class Gate final : public Policy {
public:
  explicit Gate(Keeper &keeper) : keeper_(keeper) {}

private:
  PolicyVerdict check(const PolicyRequest &request) override {
    if (wordOf(request) == "die") ::raise(SIGSEGV);
    while (wordOf(request) == "block")
      std::this_thread::sleep_for(std::chrono::hours{1});
    if (wordOf(request) == "release") keeper_.release();
    return Keeper::takesTime(wordOf(request)) ? PolicyVerdict::pending() : PolicyVerdict::allow("user:gate");
  }
  void decide(const Call &, const PolicyRequest &request, Completion &done) override {
    keeper_.findOut(wordOf(request), done, PolicyVerdict::allow("user:gate").json());
  }
  static std::string_view wordOf(const PolicyRequest &request) { return request.header("x-gate"); }

  Keeper &keeper_;
};

class People final : public Identity {
public:
  explicit People(Keeper &keeper) : keeper_(keeper) {}

private:
  Principal identify(const IdentityRequest &request) override {
    const std::string_view word = wordOf(request);
    if (word.empty()) return Principal::unknown();
    if (word == "block") keeper_.block();
    return Keeper::takesTime(word) ? Principal::pending() : Principal::operatorWith("user:gate", "*");
  }
  void findOut(const Call &, const IdentityRequest &request, Completion &done) override {
    keeper_.findOut(wordOf(request), done, Principal::operatorWith("user:gate", "*").json());
  }
  static std::string_view wordOf(const IdentityRequest &request) {
    constexpr std::string_view kScheme = "Bearer gate-";
    const std::string_view text = request.header("authorization");
    return text.substr(0, kScheme.size()) == kScheme ? text.substr(kScheme.size()) : std::string_view();
  }

  Keeper &keeper_;
};

class FakeGate final : public Plugin {
public:
  explicit FakeGate(const mos_host_v1 *host) : config_(host), services_(host), keeper_(host) {}

  void start() override {
    if (config_.getBool("broken")) throw Error(Status::Internal, "the gate is broken", "BROKEN");
    services_.provide(MOS_POLICY_1, "fake-gate", gate_.table());
    services_.provide(MOS_IDENTITY_1, "fake-gate", people_.table());
  }
  void stop() override {
    services_.withdraw(MOS_POLICY_1, "fake-gate");
    services_.withdraw(MOS_IDENTITY_1, "fake-gate");
  }

private:
  const Config config_;
  const Services services_;
  Keeper keeper_;
  Gate gate_{keeper_};
  People people_{keeper_};
};

constexpr mos_provide kProvides[] = {{MOS_POLICY_1, "fake-gate", MOS_POLICY_1_MINOR, 0},
                                     {MOS_IDENTITY_1, "fake-gate", MOS_IDENTITY_1_MINOR, 0}};
constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1 ":fake", 0, MOS_NEED_OPTIONAL}};
constexpr mos_config_key kKeys[] = {{"broken", "bool", "false", nullptr, "Does not start.", 0, 0}};

} // namespace

MATRIXOS_PLUGIN(FakeGate, matrixos::Descriptor("fake-gate", "Gate", "1.0.0")
                              .vendor("Tests")
                              .provides(kProvides)
                              .needs(kNeeds)
                              .configKeys(kKeys))
