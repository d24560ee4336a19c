#pragma once

#include "CallKind.h"
#include "FaultFile.h"
#include "FaultScript.h"
#include "Latency.h"
#include "SimulatedEngine.h"

#include <matrixos/runtime.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>

namespace matrixos::simulated {

/// What may change while the runtime works.
struct Pace {
  std::array<Latency, kCallNames.size()> latency{};
  std::int64_t imageBytes = 0; ///< size of every image

  const Latency &of(CallKind kind) const noexcept { return latency[indexOf(kind)]; }
};

/// Is told of every call that ended, and of every fault that struck.
struct CallObserver {
  std::function<void(CallKind, Status)> called = [](CallKind, Status) {};
  std::function<void(Effect)> struck = [](Effect) {};
};

/// "matrixos.runtime/1" on the simulated engine: each call is counted, asks the fault script, takes its time, has its
/// effect, and answers. Thin on purpose: what the contract means stands in SimulatedEngine. Any thread.
class SimulatedRuntime : public Runtime {
public:
  /// `file` may be null. All outlive the runtime.
  SimulatedRuntime(SimulatedEngine &engine, FaultScript &faults, FaultFile *file, CallObserver observer = {});

  void setPace(const Pace &pace);
  /// {"create": {"calls": 3, "failed": 1, "running": 0}, …} of those that were called.
  std::string countersJson() const;

  std::string capabilities(const Call &call) override;
  std::string pull(const Call &call, std::string_view requestJson, const ItemFn &progress) override;
  std::string create(const Call &call, std::string_view specJson) override;
  void start(const Call &call, std::string_view ref) override;
  void stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) override;
  void remove(const Call &call, std::string_view ref, std::uint32_t flags) override;
  std::string inspect(const Call &call, std::string_view ref) override;
  void list(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  void logs(const Call &call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) override;
  std::string stats(const Call &call, std::string_view ref) override;
  void pause(const Call &call, std::string_view ref) override;
  void unpause(const Call &call, std::string_view ref) override;
  void events(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  std::string volumeEnsure(const Call &call, std::string_view requestJson) override;
  void volumeTrash(const Call &call, std::string_view volume, std::string_view as) override;
  void volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) override;
  std::string endpoints(const Call &call, std::string_view ref) override;
  std::string startDescribed(const Call &call, std::string_view ref) override;
  void volumeRemoveIfEmpty(const Call &call, std::string_view volume) override;

private:
  struct Counter {
    std::atomic<std::uint64_t> calls{0}, failed{0}, running{0};
  };
  /// What a call's effect may have to know of its fault and its time.
  struct Step {
    bool half = false; ///< half of the items
    bool exits = false;
    std::chrono::milliseconds latency{0};
  };
  /// When a call's latency passes.
  enum class Wait { Before, ByEffect };

  auto perform(CallKind kind, const Call &call, std::string_view subject, Wait wait, auto effect);
  auto perform(CallKind kind, const Call &call, std::string_view subject, auto effect) {
    return perform(kind, call, subject, Wait::Before, std::move(effect));
  }
  std::optional<InjectedFault> meet(CallKind kind, const Call &call, std::string_view subject);
  Pace pace() const;
  void startNow(std::string_view ref, const Step &step);
  std::string subjectOf(std::string_view ref) { return engine_.nameOf(ref); }
  std::string fetch(const Call &call, const std::string &image, const Step &step, const ItemFn &progress);

  SimulatedEngine &engine_;
  EngineClock &clock_;
  FaultScript &faults_;
  FaultFile *file_;
  const CallObserver observer_;
  mutable std::mutex mutex_;
  Pace pace_;
  std::array<Counter, kCallNames.size()> counters_;
};

} // namespace matrixos::simulated
