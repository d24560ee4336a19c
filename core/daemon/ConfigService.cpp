#include "daemon/ConfigService.h"

#include "config/CoreSchema.h"
#include "config/Validator.h"

#include <algorithm>

namespace matrixos::daemon {

namespace {

constexpr const char *kInstalledPlugins = "/usr/lib/matrixos/plugins";

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
    schema.addPlugin(plugin.id, plugin.manifest->description, plugin.manifest->abiConfigKeys());
  } catch (const Error &e) {
    schema.addUncheckedPlugin(plugin.id, e.what());
  }
}

} // namespace

ConfigService::ConfigService(config::LoadOptions options, const std::filesystem::path &binaryDir, Purpose purpose)
    : options_(std::move(options)), purpose_(purpose), defaultPlugins_(kInstalledPlugins) {
  std::error_code error;
  const auto beside = std::filesystem::weakly_canonical(binaryDir / ".." / "plugins", error);
  if (!error && std::filesystem::is_directory(beside, error)) defaultPlugins_ = beside;
}

ConfigService::Loaded ConfigService::load(const std::vector<plugin::DiscoveredPlugin> &running) {
  const config::RawConfig raw = config::load(options_);
  config::Schema schema = config::coreSchema(defaultPlugins_);
  const config::ConfigPtr first = config::preview(raw, schema);
  const std::filesystem::path folder = first->getString("plugins", "path");
  if (!files_) {
    // Where copies lie does not change while the daemon runs.
    const bool serves = purpose_ == Purpose::Serve;
    files_ = std::make_unique<plugin::PluginFiles>(serves ? first->getString("plugins", "copies") : std::string());
  }
  const auto find = [&](const std::string &id) {
    for (const auto &plugin : running) {
      if (plugin.id == id) return plugin;
    }
    return plugin::discoverPlugin(folder, id, *files_);
  };
  const auto declareOnce = [&schema](const plugin::DiscoveredPlugin &plugin) {
    if (schema.find(plugin.id) == nullptr) declare(schema, plugin);
  };
  const std::vector<std::string> enabled = first->enabledPlugins();
  const std::vector<std::string> others = otherSections(raw, schema, enabled, folder);
  Loaded loaded;
  for (const std::string &id : enabled) {
    loaded.plugins.push_back(find(id));
    declareOnce(loaded.plugins.back());
  }
  for (const std::string &id : others)
    declareOnce(find(id));
  for (const auto &plugin : running)
    declareOnce(plugin);
  loaded.config = config::validate(raw, schema);
  return loaded;
}

config::ConfigPtr ConfigService::withPlugin(const plugin::DiscoveredPlugin &plugin,
                                            std::vector<plugin::DiscoveredPlugin> running) {
  // load() accepts a plugin that cannot say what its keys are; one that is about to run has to.
  config::Schema().addPlugin(plugin.id, plugin.manifest->description, plugin.manifest->abiConfigKeys());
  running.erase(std::remove_if(running.begin(), running.end(), [&](const auto &p) { return p.id == plugin.id; }),
                running.end());
  running.push_back(plugin);
  const config::ConfigPtr now = load(running).config;
  const config::ConfigPtr before = current();
  // What else has changed in the files takes effect with the next reload of the configuration.
  config::Config::Sections sections = before->sections();
  sections.insert_or_assign(plugin.id, now->sections().at(plugin.id));
  return std::make_shared<const config::Config>(std::move(sections), before->files(), before->warnings());
}

config::ConfigPtr ConfigService::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void ConfigService::replace(config::ConfigPtr config) {
  const std::lock_guard lock(mutex_);
  current_.swap(config);
}

} // namespace matrixos::daemon
