#include "HealthProbe.h"

#include <optional>

namespace matrixos::docker {

HealthProbe::HealthProbe(AskFn ask, TellFn tell, std::chrono::milliseconds period, std::chrono::milliseconds retry)
    : ask_(std::move(ask)), tell_(std::move(tell)), period_(period), retry_(retry), thread_([this] { run(); }) {}

HealthProbe::~HealthProbe() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void HealthProbe::run() {
  std::optional<std::string> told;
  for (;;) {
    const std::string problem = ask_();
    std::unique_lock lock(mutex_);
    // An answer that stop() cut short says nothing about the engine.
    if (stopping_) return;
    if (told != problem) {
      lock.unlock();
      tell_(problem);
      told = problem;
      lock.lock();
    }
    if (wake_.wait_for(lock, problem.empty() ? period_ : retry_, [&] { return stopping_; })) return;
  }
}

} // namespace matrixos::docker
