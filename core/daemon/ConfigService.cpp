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

ConfigService::ConfigService(config::LoadOptions options, const std::filesystem::path &binaryDir)
    : options_(std::move(options)), defaultPlugins_(kInstalledPlugins) {
  std::error_code error;
  const auto beside = std::filesystem::weakly_canonical(binaryDir / ".." / "plugins", error);
  if (!error && std::filesystem::is_directory(beside, error)) defaultPlugins_ = beside;
}

ConfigService::Loaded ConfigService::load() const {
  const config::RawConfig raw = config::load(options_);
  config::Schema schema = config::coreSchema(defaultPlugins_);
  const config::ConfigPtr first = config::preview(raw, schema);
  const std::filesystem::path folder = first->getString("plugins", "path");
  const std::vector<std::string> enabled = first->enabledPlugins();
  Loaded loaded;
  loaded.plugins = plugin::discoverPlugins(folder, enabled);
  const std::vector<std::string> others = otherSections(raw, schema, enabled, folder);
  for (const auto &plugin : loaded.plugins) {
    if (schema.find(plugin.id) == nullptr) declare(schema, plugin);
  }
  for (const auto &plugin : plugin::discoverPlugins(folder, others))
    declare(schema, plugin);
  loaded.config = config::validate(raw, schema);
  return loaded;
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
