/// Listens to what the engine reports.
#pragma once

#include "Engine.h"
#include "Operation.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace matrixos::orchestrator {

/// One thread that reads the runtime's events and has the records they concern looked at. Events are hints: nothing is
/// concluded from one, and whenever the stream begins, a reconcile is asked for. An engine that is away is asked every
/// other second whether it is back.
class EngineWatch {
public:
  /// `reconcile` asks for a pass; it must not block.
  EngineWatch(Workshop &workshop, std::function<void()> reconcile);
  ~EngineWatch() { stop(); }

  /// Joins the thread. Engine::cancelAll() comes first, or it waits for the engine's next word.
  void stop() noexcept;

private:
  void run();
  bool answers();
  /// False once the stream cannot be had at all.
  bool listen();
  void heard(const EngineEvent &event);
  InstancePtr recordOf(const EngineEvent &event) const;
  void pause(std::chrono::milliseconds time);

  Workshop &shop_;
  std::function<void()> reconcile_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::orchestrator
