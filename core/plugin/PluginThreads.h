#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace matrixos::plugin {

/// The threads that plugins make: pthread_create() of this program looks whose code calls it. What the host makes while
/// a plugin calls it is the host's; what a library makes for a plugin is the plugin's. Thread-safe.
class PluginThreads {
public:
  /// The one of the process, never destroyed.
  static PluginThreads &instance();

  /// A life of the plugin is over. Waits for its threads, no longer than `patience`; those that still run then are left
  /// behind. Gives how many.
  std::size_t leave(const std::string &plugin, std::chrono::milliseconds patience);
  /// For operators: what earlier lives of the plugin left behind and runs on; "" when nothing does.
  std::string leftBehind(const std::string &plugin) const;

  /// One thread, from before it runs until its end.
  class Run {
  public:
    explicit Run(std::string plugin);
    ~Run();
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;

  private:
    const std::string plugin_;
    const std::size_t life_;
  };

private:
  struct Life {
    std::size_t number = 0;  ///< of the present one
    std::size_t running = 0; ///< threads of it
    std::size_t left = 0;    ///< threads of those before it
  };

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, Life> lives_;
};

/// "2 threads that it made run on after it was stopped".
std::string threadsThatRunOn(std::size_t count);

} // namespace matrixos::plugin
