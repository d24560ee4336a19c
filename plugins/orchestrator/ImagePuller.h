/// Makes images present, each once however many instances wait for it.
#pragma once

#include "Engine.h"
#include "Settings.h"

#include <matrixos/host.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// Pulls on the host's executor, a bounded number at a time, apart from the operations: a slow registry holds up only
/// those who need its image. Any thread; ensure() does not block.
class ImagePuller {
public:
  using OnProgress = std::function<void(const Progress &)>;
  /// `error` is null when the image is there. Called once, on any thread.
  using OnDone = std::function<void(const std::string &digest, const Error *error)>;

  ImagePuller(Executor executor, Engine &engine, const SettingsCell &settings)
      : executor_(executor), engine_(engine), settings_(settings) {}

  void ensure(const std::string &image, OnProgress onProgress, OnDone onDone);
  /// Waits until nothing is pulled; false when time is up first.
  bool waitIdle(std::chrono::milliseconds timeout);

private:
  struct Pull {
    std::vector<OnProgress> onProgress;
    std::vector<OnDone> onDone;
  };
  class Task;

  std::string takeNext();
  void begin(const std::string &image);
  void run(const std::string &image);
  void report(const std::string &image, const Progress &progress);
  void finish(const std::string &image, const std::string &digest, const Error *error);

  Executor executor_;
  Engine &engine_;
  const SettingsCell &settings_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::map<std::string, Pull> pulls_;
  std::deque<std::string> waiting_;
  std::int64_t active_ = 0;
};

} // namespace matrixos::orchestrator
