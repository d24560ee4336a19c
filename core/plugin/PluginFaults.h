#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::plugin {

/// What a plugin does that it must not, short of crashing.
enum class PluginFault {
  Abandoned, ///< a call into it was given up
  Stray,     ///< it answered twice or too late
  Threw,     ///< an exception left it
  Blocked,   ///< it takes its time where nothing may block
  Trespass,  ///< it went for a table, route, topic or metric that is not its own, or for what it had given back
  Overran,   ///< its SQL, or a row callback, went on for too long
  Leaked,    ///< a thread of it runs on after its end
};

/// "abandoned", as tests of plugins see it.
const char *faultName(PluginFault fault) noexcept;

/// Counts what plugins do wrong and tells the operator, by the plugin's name. Thread-safe.
class PluginFaults {
public:
  using Clock = std::chrono::steady_clock;

  /// The one of the process, never destroyed: late answers come at any time.
  static PluginFaults &instance();

  /// Told of every fault, on the thread where it was seen; must not block. An empty one ends it, and after observe()
  /// returns the one before is not called any more.
  using Observer = std::function<void(const std::string &plugin, PluginFault fault)>;
  void observe(Observer observer);

  /// `what`: a sentence for the log, the same each time for the same thing; `detail` follows it and may differ. What is
  /// said of a plugin for the first time is logged at once, for the first few sentences; else each kind of fault every
  /// few seconds at most.
  void report(const std::string &plugin, PluginFault fault, const std::string &what,
              const std::string &detail = {}) noexcept;
  std::uint64_t count(const std::string &plugin, PluginFault fault) const;
  /// For operators: in which ways the plugin has lately, and not before `since`, harmed others or what is theirs, and
  /// what to do about it; "" if it has not.
  std::string lately(const std::string &plugin, Clock::time_point since) const;

private:
  struct Said {
    std::string what, detail;
    Clock::time_point at;
  };
  struct Entry {
    std::uint64_t count = 0;
    Clock::time_point logged;
    std::uint64_t silent = 0; ///< since it was logged
    std::vector<Said> said;   ///< the latest of each sentence, for as long as operators see them
  };

  static bool note(Entry &entry, Said said);

  mutable std::shared_mutex observing_;
  Observer observer_;
  mutable std::shared_mutex mutex_;
  std::map<std::pair<std::string, PluginFault>, Entry> entries_;
};

} // namespace matrixos::plugin
