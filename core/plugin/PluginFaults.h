#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>

namespace matrixos::plugin {

/// What a plugin does that it must not, short of crashing.
enum class PluginFault {
  Abandoned, ///< a call into it was given up
  Stray,     ///< it answered twice or too late, or called what it had given back
  Threw,     ///< an exception left it
  Blocked,   ///< it took its time where nothing may block
  Trespass,  ///< it went for a table, route, topic or metric that is not its own
  Overran,   ///< its SQL, or a row callback, went on for too long
};

/// Counts what plugins do wrong and tells the operator, by the plugin's name. Thread-safe.
class PluginFaults {
public:
  /// The one of the process, never destroyed: late answers come at any time.
  static PluginFaults &instance();

  /// Told of every fault, on the thread where it was seen; must not block. An empty one ends it, and after observe()
  /// returns the one before is not called any more.
  using Observer = std::function<void(const std::string &plugin, PluginFault fault)>;
  void observe(Observer observer);

  /// `what`: a sentence for the log; the same fault of the same plugin is logged every few seconds at most.
  void report(const std::string &plugin, PluginFault fault, const std::string &what) noexcept;
  std::uint64_t count(const std::string &plugin, PluginFault fault) const;

private:
  struct Entry {
    std::uint64_t count = 0;
    std::int64_t loggedMs = 0;
    std::uint64_t silent = 0; ///< since it was logged
  };

  mutable std::shared_mutex observing_;
  Observer observer_;
  mutable std::shared_mutex mutex_;
  std::map<std::pair<std::string, PluginFault>, Entry> entries_;
};

} // namespace matrixos::plugin
