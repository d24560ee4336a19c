#include "daemon/ConfigService.h"

#include "config/CoreSchema.h"
#include "config/InEffect.h"
#include "config/ProvideAs.h"
#include "config/Validator.h"
#include "daemon/SectionChecks.h"
#include "log/Log.h"

#include <algorithm>

namespace matrixos::daemon {

namespace {

/// Plugins that are not enabled but have a section: their file says what the section may hold.
std::vector<std::string> otherSections(const config::RawConfig &raw, const config::Schema &core,
                                       const std::vector<std::string> &enabled, const std::filesystem::path &folder) {
  std::vector<std::string> ids;
  const auto note = [&](const std::string &section) {
    const bool known = core.find(section) != nullptr ||
                       std::find(enabled.begin(), enabled.end(), section) != enabled.end() ||
                       std::find(ids.begin(), ids.end(), section) != ids.end();
    std::error_code error;
    if (known || !plugin::isPluginId(section) || !std::filesystem::exists(folder / (section + ".so"), error)) return;
    ids.push_back(section);
  };
  for (const config::RawSection &section : raw.sections)
    note(section.name);
  for (const config::RawValue &value : raw.values)
    note(value.section);
  return ids;
}

void declare(config::Schema &schema, const plugin::DiscoveredPlugin &plugin) {
  if (!plugin.manifest) return schema.addUncheckedPlugin(plugin.id, plugin.error);
  try {
    schema.addPlugin(plugin.id, plugin.manifest->description, plugin.manifest->allConfigKeys());
  } catch (const Error &e) {
    schema.addUncheckedPlugin(plugin.id, e.what());
  }
}

/// With the names that the operator gave to its services.
plugin::DiscoveredPlugin renamed(plugin::DiscoveredPlugin plugin, const config::Config &config) {
  if (!plugin.manifest) return plugin;
  for (auto &provide : plugin.manifest->provides) {
    const std::string name = config::ProvideAs::instanceOf(config, plugin.id, provide.service);
    if (provide.declared.empty() && !name.empty()) provide.instance = name;
  }
  return plugin;
}

/// A check is made from a shell, which has no credentials of the unit's.
config::LoadOptions forPurpose(config::LoadOptions options, ConfigService::Purpose purpose) {
  options.onlyLooks = purpose == ConfigService::Purpose::Check;
  return options;
}

} // namespace

ConfigService::ConfigService(config::LoadOptions options, const std::filesystem::path &binaryDir, Purpose purpose)
    : options_(forPurpose(std::move(options), purpose)), purpose_(purpose),
      defaultPlugins_(config::defaultPluginsPath(binaryDir)), pluginHost_(binaryDir / "matrixos-plugin-host") {}

struct ConfigService::Preview {
  config::ConfigPtr config;
  std::filesystem::path folder;
  std::vector<std::string> enabled;
  std::vector<std::string> others; ///< not enabled, but with a section
  PluginFinder::Options options;
};

ConfigService::Preview ConfigService::preview(const config::RawConfig &raw, const std::vector<std::string> &more) {
  config::Schema schema = config::coreSchema(defaultPlugins_);
  Preview preview;
  preview.config = config::preview(raw, schema);
  preview.folder = preview.config->getString("plugins", "path");
  preview.enabled = preview.config->enabledPlugins();
  preview.others = otherSections(raw, schema, preview.enabled, preview.folder);
  // Nothing of an isolated plugin may run here, so that is asked before what its keys are. Any text counts: a
  // misspelled value is refused later, by which time a plugin that was meant to be isolated must not have been loaded.
  mos_config_key word = config::isolationKey();
  word.type = "string";
  word.default_value = word.range = nullptr;
  std::vector<std::string> ids;
  const auto note = [&](const std::string &id) {
    if (!plugin::isPluginId(id) || schema.find(id) != nullptr) return;
    schema.addPlugin(id, "", std::span(&word, 1));
    ids.push_back(id);
  };
  std::for_each(preview.enabled.begin(), preview.enabled.end(), note);
  std::for_each(preview.others.begin(), preview.others.end(), note);
  std::for_each(more.begin(), more.end(), note);
  const config::ConfigPtr words = config::preview(raw, schema);
  for (const std::string &id : ids) {
    const std::string &value = words->getString(id, word.key);
    if (!value.empty() && value != "none") preview.options.isolated.insert(id);
  }
  preview.options.timeouts = {preview.config->getDuration("plugins", "start_timeout"),
                              preview.config->getDuration("plugins", "stop_timeout")};
  // A crash at start is noted, and ends with the quarantine; one that serves, or only looks, does not risk it.
  preview.options.probe = purpose_ == Purpose::Check || current() != nullptr;
  if (!files_) {
    // Where copies lie does not change while the daemon runs.
    const bool serves = purpose_ == Purpose::Serve;
    files_ =
        std::make_unique<plugin::PluginFiles>(serves ? preview.config->getString("plugins", "copies") : std::string());
    finder_ = std::make_unique<PluginFinder>(*files_, pluginHost_);
    crashes_.begin(*preview.config, *files_, serves);
  }
  return preview;
}

plugin::DiscoveredPlugin ConfigService::find(const std::string &id, bool anew) {
  const Preview now = preview(config::load(options_), {id});
  // Where plugins lie takes a restart.
  const config::ConfigPtr inEffect = current();
  return renamed(finder_->find(inEffect->getString("plugins", "path"), id, now.options, anew), *inEffect);
}

ConfigService::Loaded ConfigService::load(const std::vector<plugin::DiscoveredPlugin> &running) {
  const config::RawConfig raw = config::load(options_);
  config::Schema schema = config::coreSchema(defaultPlugins_);
  const Preview now = preview(raw);
  const auto find = [&](const std::string &id) {
    for (const auto &plugin : running) {
      if (plugin.id == id) return plugin;
    }
    return renamed(finder_->find(now.folder, id, now.options, false), *now.config);
  };
  const auto declareOnce = [&schema](const plugin::DiscoveredPlugin &plugin) {
    if (schema.find(plugin.id) == nullptr) declare(schema, plugin);
  };
  Loaded loaded;
  for (const std::string &id : now.enabled) {
    loaded.plugins.push_back(find(id));
    declareOnce(loaded.plugins.back());
  }
  for (const std::string &id : now.others)
    declareOnce(find(id));
  for (const auto &plugin : running)
    declareOnce(plugin);
  loaded.config = config::validate(raw, schema);
  checkSections(loaded);
  return loaded;
}

void ConfigService::checkSections(Loaded &loaded) const {
  SectionChecks checks(pluginHost_, *loaded.config, loaded.plugins);
  std::vector<std::string> failures;
  for (plugin::DiscoveredPlugin &plugin : loaded.plugins) {
    try {
      checks.run(plugin);
    } catch (const Error &e) {
      if (current() != nullptr) {
        failures.emplace_back(e.what()); // it runs, and goes on with what it has
        continue;
      }
      plugin.manifest.reset();
      plugin.error = e.what();
    }
  }
  loaded.warnings = checks.takeWarnings();
  std::vector<std::string> problems = checks.takeProblems();
  problems.insert(problems.end(), failures.begin(), failures.end());
  if (!problems.empty()) throw config::ConfigError(std::move(problems));
}

config::ConfigPtr ConfigService::withPlugin(const plugin::DiscoveredPlugin &plugin,
                                            std::vector<plugin::DiscoveredPlugin> running) {
  // load() accepts a plugin that cannot say what its keys are; one that is about to run has to.
  config::Schema().addPlugin(plugin.id, plugin.manifest->description, plugin.manifest->allConfigKeys());
  running.erase(std::remove_if(running.begin(), running.end(), [&](const auto &p) { return p.id == plugin.id; }),
                running.end());
  running.push_back(plugin);
  const config::ConfigPtr now = load(running).config;
  const config::ConfigPtr before = current();
  // What else has changed in the files takes effect with the next reload of the configuration.
  return config::withSection(*before, plugin.id, *now);
}

config::ConfigPtr ConfigService::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

config::ConfigPtr ConfigService::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

void ConfigService::replace(config::ConfigPtr current, config::ConfigPtr wanted) {
  std::vector<std::string> secrets = current->secrets();
  if (wanted != current) {
    for (std::string &secret : wanted->secrets())
      secrets.push_back(std::move(secret));
  }
  log::replaceSecrets(std::move(secrets));
  const std::lock_guard lock(mutex_);
  current_.swap(current);
  wanted_.swap(wanted);
}

} // namespace matrixos::daemon
