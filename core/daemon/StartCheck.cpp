#include "daemon/StartCheck.h"

#include "config/Text.h"
#include "config/TextFile.h"
#include "plugin/StartOrder.h"

#include <map>

namespace matrixos::daemon {

namespace {

class StartCheck {
public:
  explicit StartCheck(const config::Config &config) : config_(config) {}

  /// Empty: one is generated, or there is none.
  void secretFile(const char *section, const char *key) {
    const std::string &path = config_.getString(section, key);
    if (path.empty()) return;
    try {
      config::readSecretFile(path);
    } catch (const Error &e) {
      add(section, key, config::quote(path) + " " + e.what());
    }
  }

  void plugins(const std::vector<plugin::DiscoveredPlugin> &found) {
    std::vector<const plugin::Manifest *> manifests;
    std::map<std::pair<std::string, std::string>, std::string> providers; // service and instance → id
    for (const plugin::DiscoveredPlugin &plugin : found) {
      if (plugin.quarantined) continue; // a state that `plugins enable` ends, not the configuration's fault
      if (!plugin.manifest) {
        add("plugins", "enabled", config::quote(plugin.id) + " cannot be loaded: " + plugin.error);
        continue;
      }
      manifests.push_back(&*plugin.manifest);
      for (const auto &provide : plugin.manifest->provides) {
        const auto [first, alone] = providers.emplace(std::pair(provide.service, provide.instance), plugin.id);
        if (alone) continue;
        const std::string instance = provide.instance.empty() ? "" : " " + config::quote(provide.instance);
        add("plugins", "enabled",
            config::quote(plugin.id) + " provides " + provide.service + instance + ", and so does " +
                config::quote(first->second) + "; enable one of them");
      }
    }
    for (const auto &[id, why] : plugin::StartOrder::of(manifests).failures)
      add("plugins", "enabled", config::quote(id) + " cannot start: " + why);
  }

  std::vector<std::string> takeProblems() { return std::move(problems_); }

private:
  void add(const char *section, const char *key, const std::string &text) {
    const config::ConfigEntry *entry = config_.find(section, key);
    problems_.push_back(
        config::ConfigProblem{entry->origin, std::string("[") + section + "] " + key + ": " + text}.toString());
  }

  const config::Config &config_;
  std::vector<std::string> problems_;
};

} // namespace

std::vector<std::string> checkStart(const config::Config &config,
                                    const std::vector<plugin::DiscoveredPlugin> &plugins) {
  StartCheck check(config);
  check.secretFile("platform", "secret_file");
  check.secretFile("metrics", "token_file");
  check.plugins(plugins);
  return check.takeProblems();
}

} // namespace matrixos::daemon
