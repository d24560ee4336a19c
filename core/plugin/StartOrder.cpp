#include "plugin/StartOrder.h"

#include "plugin/CommandPaths.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace matrixos::plugin {

namespace {

/// The enabled plugins that provide what `need` asks for, or the reason why none does.
std::vector<std::string> providersOf(const Manifest::Need &need, const std::vector<const Manifest *> &plugins,
                                     std::string &why) {
  std::vector<std::string> found;
  why = "it needs " + need.text() + ", which no enabled plugin provides";
  for (const Manifest *plugin : plugins) {
    for (const Manifest::Provide &provide : plugin->provides) {
      if (!need.isMetBy(provide.service, provide.instance)) continue;
      if (provide.minor < need.minMinor) {
        why = "it needs " + need.text() + " of minor " + std::to_string(need.minMinor) + ", but " + plugin->id +
              " provides minor " + std::to_string(provide.minor);
        continue;
      }
      found.push_back(plugin->id);
      break;
    }
  }
  return found;
}

class Sorter {
public:
  explicit Sorter(const std::vector<const Manifest *> &plugins) : plugins_(plugins) {
    for (const Manifest *plugin : plugins)
      byId_[plugin->id] = plugin;
  }

  StartOrder sort() {
    result_.failures = claimConflicts(plugins_);
    std::vector<const Manifest *> owners; // the others have nothing
    std::copy_if(plugins_.begin(), plugins_.end(), std::back_inserter(owners),
                 [&](const Manifest *plugin) { return result_.failures.count(plugin->id) == 0; });
    result_.commandFailures = commandConflicts(owners);
    result_.failures.insert(result_.commandFailures.begin(), result_.commandFailures.end());
    for (const Manifest *plugin : plugins_)
      visit(plugin->id);
    return std::move(result_);
  }

private:
  enum class Mark { Open, Done, Failed };

  /// Depth first; `path_` holds the ids on the way, so that a cycle can be named. False when the plugin cannot start.
  bool visit(const std::string &id) {
    if (const auto mark = marks_.find(id); mark != marks_.end()) {
      if (mark->second == Mark::Open) failCycle(id);
      return mark->second == Mark::Done;
    }
    marks_[id] = Mark::Open;
    path_.push_back(id);
    const bool well = visitNeeds(*byId_.at(id));
    path_.pop_back();
    const bool failed = !well || result_.failures.count(id) != 0;
    marks_[id] = failed ? Mark::Failed : Mark::Done;
    if (!failed) result_.order.push_back(id);
    return !failed;
  }

  bool visitNeeds(const Manifest &plugin) {
    for (const Manifest::Need &need : plugin.needs) {
      std::string why;
      const auto providers = providersOf(need, plugins_, why);
      bool any = false;
      for (const std::string &provider : providers) {
        any = visit(provider) || any;
      }
      if (any || need.optional) continue;
      if (!providers.empty())
        why = "it needs " + need.text() + ", whose provider " + providers.front() + " cannot start";
      result_.failures.emplace(plugin.id, why);
      return false;
    }
    return true;
  }

  void failCycle(const std::string &id) {
    std::string text;
    const auto from = std::find(path_.begin(), path_.end(), id);
    for (auto at = from; at != path_.end(); ++at)
      text += *at + " → ";
    for (auto at = from; at != path_.end(); ++at) {
      result_.failures[*at] = "its needs form a cycle: " + text + id;
    }
  }

  const std::vector<const Manifest *> &plugins_;
  std::map<std::string, const Manifest *> byId_;
  std::map<std::string, Mark> marks_;
  std::vector<std::string> path_;
  StartOrder result_;
};

} // namespace

StartOrder StartOrder::of(const std::vector<const Manifest *> &plugins) {
  return Sorter(plugins).sort();
}

} // namespace matrixos::plugin
