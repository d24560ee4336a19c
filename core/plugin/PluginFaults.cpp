#include "plugin/PluginFaults.h"

#include "log/Log.h"

#include <algorithm>
#include <mutex>

namespace matrixos::plugin {

namespace {

/// A plugin that throws in a timer of five milliseconds must not fill the disk.
constexpr std::chrono::seconds kQuiet{5};
/// Nor one that goes for ever new names.
constexpr std::size_t kSentences = 8;
/// How long an operator sees what it did.
constexpr std::chrono::minutes kShown{10};

/// Calls that are given up are shown for as long as they hang; exceptions and stray answers harm the plugin alone.
constexpr bool harmsOthers(PluginFault fault) {
  return fault == PluginFault::Blocked || fault == PluginFault::Trespass || fault == PluginFault::Overran;
}

} // namespace

const char *faultName(PluginFault fault) noexcept {
  switch (fault) {
  case PluginFault::Abandoned:
    return "abandoned";
  case PluginFault::Stray:
    return "stray";
  case PluginFault::Threw:
    return "threw";
  case PluginFault::Blocked:
    return "blocked";
  case PluginFault::Trespass:
    return "trespass";
  case PluginFault::Overran:
    return "overran";
  case PluginFault::Leaked:
    return "leaked";
  }
  return "?";
}

PluginFaults &PluginFaults::instance() {
  static auto *faults = new PluginFaults;
  return *faults;
}

void PluginFaults::observe(Observer observer) {
  const std::unique_lock lock(observing_);
  observer_.swap(observer);
}

/// True when it has to be logged.
bool PluginFaults::note(Entry &entry, Said said) {
  const auto now = said.at;
  const auto old = [&](const Said &one) { return now - one.at >= kShown; };
  entry.said.erase(std::remove_if(entry.said.begin(), entry.said.end(), old), entry.said.end());
  const auto same =
      std::find_if(entry.said.begin(), entry.said.end(), [&](auto &one) { return one.what == said.what; });
  const bool fresh = same == entry.said.end() && entry.said.size() < kSentences;
  if (same != entry.said.end()) entry.said.erase(same);
  if (entry.said.size() == kSentences) entry.said.erase(entry.said.begin());
  entry.said.push_back(std::move(said));
  const bool first = entry.count++ == 0;
  return first || fresh || now - entry.logged >= kQuiet;
}

void PluginFaults::report(const std::string &plugin, PluginFault fault, const std::string &what,
                          const std::string &detail) noexcept {
  try {
    std::uint64_t silent = 0;
    bool say = false;
    {
      const auto now = Clock::now();
      const std::unique_lock lock(mutex_);
      Entry &entry = entries_[{plugin, fault}];
      say = note(entry, {what, detail, now});
      if (say) {
        silent = std::exchange(entry.silent, 0);
        entry.logged = now;
      } else {
        ++entry.silent;
      }
    }
    if (say) {
      static const log::Log log("core.plugin");
      log.error("plugin " + plugin + ": " + what + detail, {{"plugin", plugin}, {"notLogged", silent}});
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

std::string PluginFaults::lately(const std::string &plugin, Clock::time_point since) const {
  since = std::max(since, Clock::now() - kShown);
  std::string all;
  const std::shared_lock lock(mutex_);
  for (const auto &[key, entry] : entries_) {
    if (key.first != plugin || !harmsOthers(key.second)) continue;
    for (const Said &said : entry.said)
      if (said.at >= since) all += said.what + said.detail + "; ";
  }
  if (all.empty()) return all;
  return all + "that is a fault of the plugin: tell its author, or stop it with matrixosctl plugins disable " + plugin;
}

} // namespace matrixos::plugin
