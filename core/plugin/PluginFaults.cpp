#include "plugin/PluginFaults.h"

#include "log/Log.h"

#include <chrono>
#include <mutex>
#include <utility>

namespace matrixos::plugin {

namespace {

/// A plugin that throws in a timer of five milliseconds must not fill the disk.
constexpr std::int64_t kQuietMs = 5'000;

std::int64_t monotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

} // namespace

PluginFaults &PluginFaults::instance() {
  static auto *faults = new PluginFaults;
  return *faults;
}

void PluginFaults::observe(Observer observer) {
  const std::unique_lock lock(observing_);
  observer_.swap(observer);
}

void PluginFaults::report(const std::string &plugin, PluginFault fault, const std::string &what) noexcept {
  try {
    std::uint64_t silent = 0;
    bool say = false;
    {
      const std::unique_lock lock(mutex_);
      Entry &entry = entries_[{plugin, fault}];
      const std::int64_t now = monotonicMs();
      say = entry.count == 0 || now - entry.loggedMs >= kQuietMs;
      ++entry.count;
      if (say) {
        silent = std::exchange(entry.silent, 0);
        entry.loggedMs = now;
      } else {
        ++entry.silent;
      }
    }
    if (say) {
      static const log::Log log("core.plugin");
      log.error("plugin " + plugin + ": " + what, {{"plugin", plugin}, {"notLogged", silent}});
    }
    const std::shared_lock lock(observing_);
    if (observer_) observer_(plugin, fault);
  } catch (const std::exception &) {
    // Out of memory: the fault is contained all the same.
  }
}

std::uint64_t PluginFaults::count(const std::string &plugin, PluginFault fault) const {
  const std::shared_lock lock(mutex_);
  const auto at = entries_.find({plugin, fault});
  return at == entries_.end() ? 0 : at->second.count;
}

} // namespace matrixos::plugin
