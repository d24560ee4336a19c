#include "PullProgress.h"

#include <matrixos/json.hpp>

namespace matrixos::docker {

namespace {

constexpr std::size_t kMaxLayers = 1024;
constexpr std::chrono::milliseconds kInterval{250};

} // namespace

bool PullProgress::step(const PullStep &step) {
  if (step.id.empty() || step.status.find(' ') != std::string::npos) {
    // "Pull complete", "Already exists", "Pulling from …": words without bytes.
    const auto found = layers_.find(step.id);
    if (found != layers_.end() && step.status == "Download complete") found->second.current = found->second.total;
    if (phase_.empty()) phase_ = "resolving";
  } else if (step.status == "Downloading") {
    phase_ = "downloading";
    if (layers_.size() < kMaxLayers || layers_.count(step.id) != 0) layers_[step.id] = {step.current, step.total};
  } else if (step.status == "Extracting") {
    phase_ = "extracting";
  }
  const auto now = std::chrono::steady_clock::now();
  if (phase_.empty() || (phase_ == sentPhase_ && now - sentAt_ < kInterval)) return true;
  sentAt_ = now;
  return emit();
}

bool PullProgress::finish() {
  phase_ = "done";
  return emit();
}

bool PullProgress::emit() {
  Layer sum;
  for (const auto &[id, layer] : layers_) {
    sum.current += layer.current;
    sum.total += layer.total;
  }
  sentPhase_ = phase_;
  return item_(json::dump(json::object({{"phase", phase_}, {"current", sum.current}, {"total", sum.total}})));
}

} // namespace matrixos::docker
