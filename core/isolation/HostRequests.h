#pragma once

#include "isolation/Frames.h"
#include "isolation/NeededServices.h"
#include "isolation/Subscriptions.h"

#include <matrixos/abi/plugin.h>
#include <matrixos/host.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// Does for a plugin's process what it asks of its host, on the host's side. All functions but degraded() are called
/// by one thread, and none of them blocks. Throws Error("PROTOCOL") for what an honest process does not send.
class HostRequests {
public:
  /// `callPlugin`: calls the plugin's process, see HostCalls.
  HostRequests(const mos_host_v1 *host, const std::string &plugin, HostCalls::CallPlugin callPlugin);

  /// A new process knows nothing of what the one before it said. It is answered by `channel`.
  void newProcess(const std::shared_ptr<FrameChannel> &channel);
  /// The process has gone.
  void processEnded();
  /// The plugin has stopped: waits for what it has under way. Any thread.
  void end() { needed_->end(); }
  /// Its calls into services of others.
  NeededServices &needed() noexcept { return *needed_; }

  void log(const LogFrame &frame);
  void samples(const SamplesFrame &frame);
  /// Its answer, encoded.
  std::string answer(const SeriesFrame &frame);
  /// Gives the encoded answer to `send`, at once or, for what waits for a disk, from the executor.
  void answer(const AskFrame &frame, std::function<void(const std::string &)> send);

  /// The least severe level that the log keeps.
  std::uint32_t logLevel() const noexcept;
  const Log &ownLog() const noexcept { return log_; }
  /// What is wrong with the process; hides what the plugin itself says until it is empty again. Any thread.
  void degraded(const std::string &why);
  void countRestart() const noexcept { restarts_.add(); }
  void countRepeats(std::size_t calls) const noexcept { repeats_.add(static_cast<double>(calls)); }

private:
  /// What the views of an answer refer to.
  struct Texts {
    std::string text;
    std::deque<std::string> list;
  };

  static std::string encodeAnswer(const AskFrame &frame, const std::function<void(AnswerFrame &, Texts &)> &fill);
  void answerQuestion(const AskFrame &frame, AnswerFrame &answer, Texts &texts);
  void answerKv(const AskFrame &frame, AnswerFrame &answer, Texts &texts) const;
  void showDegraded() const { platform_.setDegraded(ours_.empty() ? theirs_ : ours_); }

  const Config config_;
  const Platform platform_;
  const Log log_;
  const Metrics metrics_;
  const mos_host_log_v1 *logTable_;
  const mos_host_metrics_v1 *metricsTable_;
  const mos_host_events_v1 *eventsTable_;
  std::optional<Executor> executor_; ///< nothing where the host has none
  std::optional<KeyValueStore> keyValues_;
  Series restarts_, repeats_;

  const std::shared_ptr<NeededServices> needed_;
  Subscriptions subscriptions_;

  std::mutex mutex_; ///< the two texts
  std::string ours_, theirs_;

  std::vector<std::uint64_t> series_; ///< the host's handles, by the process's numbers
  std::chrono::steady_clock::time_point logSecond_;
  std::uint32_t logLines_ = 0; ///< in this second
  std::uint32_t logDropped_ = 0;
};

} // namespace matrixos::isolation
