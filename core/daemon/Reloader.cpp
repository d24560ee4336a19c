#include "daemon/Reloader.h"

#include "config/InEffect.h"
#include "log/Log.h"

#include <algorithm>

namespace matrixos::daemon {

namespace {

const log::Log kLog("core");

bool isPluginSet(const config::KeyChange &change) {
  return change.section == "plugins" && change.key == "enabled";
}

/// Key by key; the keys of a plugin that comes or goes are not told one by one.
std::vector<config::KeyChange> changes(const config::Config &from, const config::Config &to) {
  std::vector<config::KeyChange> list = config::diff(from, to);
  std::erase_if(list, [&](const config::KeyChange &change) {
    return from.sections().count(change.section) == 0 || to.sections().count(change.section) == 0;
  });
  return list;
}

bool takesRestart(const config::KeyChange &change) {
  return !change.isLive && !isPluginSet(change);
}

/// A live key of the section names a file, which may hold something else by now.
bool readsFiles(const config::Config &config, const std::string &section) {
  const auto found = config.sections().find(section);
  if (found == config.sections().end()) return false;
  const auto &entries = found->second.entries;
  return std::any_of(entries.begin(), entries.end(), [](const auto &entry) {
    const config::KeySpec &spec = entry.second.spec;
    return spec.isLive() && spec.type == config::ValueType::Path;
  });
}

std::string withRemedy(const config::KeyChange &change, const config::Config &config) {
  if (!takesRestart(change)) return change.toString() + " (refused)";
  const bool ofPlugin = config.sections().at(change.section).isPlugin;
  return change.toString() +
         (ofPlugin ? " (matrixosctl plugins reload " + change.section + ")" : " (restart matrixosd)");
}

} // namespace

std::set<std::string> Reloader::running() const {
  std::set<std::string> ids;
  for (const plugin::PluginReport &report : parts_.plugins.reports()) {
    if (report.runs) ids.insert(report.manifest.id);
  }
  return ids;
}

ReloadReport Reloader::run() {
  const config::ConfigPtr wanted = parts_.configs.load(parts_.plugins.loaded()).config;
  const config::ConfigPtr before = parts_.configs.current();
  const config::ConfigPtr next = config::takeOver(*before, *wanted, running());
  const std::vector<std::string> secrets = parts_.replaceSecrets(*next);
  parts_.configs.replace(next, wanted);
  parts_.configureCore(*next);

  ReloadReport report;
  // What was refused is asked for again: perhaps the address is free by now.
  const std::set<std::string> again = std::exchange(unsettled_, {});
  std::set<std::string> touched = again;
  for (const std::string &secret : secrets)
    report.applied.push_back(secret + " was replaced");
  if (!secrets.empty()) {
    // Plugins that keep them from tenants have read them, too.
    for (const auto &plugin : parts_.plugins.loaded())
      touched.insert(plugin.id);
  }
  for (const config::KeyChange &change : changes(*before, *next))
    touched.insert(change.section);
  for (const std::string &id : running()) {
    if (readsFiles(*next, id)) touched.insert(id);
  }
  reconfigure(*before, touched, report);
  applyPluginSet(*before, *wanted, again, report);
  // The section of one that could not start may be another one now.
  parts_.plugins.retry([] { return false; });
  for (const config::KeyChange &change : changes(*before, *parts_.configs.current()))
    report.applied.push_back(change.toString());
  for (const config::KeyChange &change : changes(*parts_.configs.current(), *wanted)) {
    if (takesRestart(change)) report.restart.push_back(withRemedy(change, *wanted));
  }

  for (const std::string &text : report.applied)
    kLog.info("configuration changed: " + text);
  for (const std::string &text : report.restart)
    kLog.warning("configuration changed, takes a restart: " + text);
  for (const std::string &text : report.refused)
    kLog.error("configuration refused by plugin " + text);
  kLog.info("configuration reloaded");
  return report;
}

void Reloader::reconfigure(const config::Config &before, const std::set<std::string> &touched, ReloadReport &report) {
  for (const auto &[id, reason] : parts_.plugins.reconfigure(touched)) {
    const config::ConfigPtr now = parts_.configs.current();
    parts_.configs.replace(config::withSection(*now, id, before), parts_.configs.wanted());
    report.refused.push_back(id + ": " + reason);
    unsettled_.insert(id);
  }
}

void Reloader::applyPluginSet(const config::Config &before, const config::Config &wanted,
                              const std::set<std::string> &again, ReloadReport &report) {
  std::vector<std::string> ids;
  const auto attempt = [&](const std::string &id, auto &&action) {
    try {
      action();
      return true;
    } catch (const Error &e) {
      report.refused.push_back(id + ": " + e.what());
      unsettled_.insert(id);
      return false;
    }
  };
  for (const std::string &id : before.enabledPlugins()) {
    if (wanted.isPluginEnabled(id) || !attempt(id, [&] { parts_.plugins.disable(id); })) ids.push_back(id);
  }
  const std::set<std::string> runs = running();
  for (const std::string &id : wanted.enabledPlugins()) {
    const bool had = before.isPluginEnabled(id);
    const bool missing = !had || (again.count(id) != 0 && runs.count(id) == 0);
    // One that was loaded and did not start is enabled all the same, and says why it does not run.
    const bool well = !missing || attempt(id, [&] { parts_.plugins.enable(id); });
    if (!had && (well || isLoaded(id))) ids.push_back(id);
  }
  // Their order means nothing, so that of the files is as good.
  if (std::set(ids.begin(), ids.end()) == std::set(wanted.enabledPlugins().begin(), wanted.enabledPlugins().end()))
    ids = wanted.enabledPlugins();
  if (ids == before.enabledPlugins()) return;
  parts_.configs.replace(config::withEnabled(*parts_.configs.current(), ids), parts_.configs.wanted());
}

bool Reloader::isLoaded(const std::string &id) const {
  const auto loaded = parts_.plugins.loaded();
  return std::any_of(loaded.begin(), loaded.end(), [&](const auto &plugin) { return plugin.id == id; });
}

std::vector<std::string> Reloader::notInEffect() const {
  const config::ConfigPtr wanted = parts_.configs.wanted();
  std::vector<std::string> texts;
  for (const config::KeyChange &change : changes(*parts_.configs.current(), *wanted))
    texts.push_back(withRemedy(change, *wanted));
  return texts;
}

} // namespace matrixos::daemon
