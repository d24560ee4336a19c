#include "daemon/SectionChecks.h"

#include "config/CoreSchema.h"
#include "config/SemanticChecks.h"
#include "isolation/SectionCheck.h"
#include "log/Log.h"

#include <matrixos/status.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace matrixos::daemon {

namespace {

constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::string_view kWarning = "warning: "; // abi/plugin.h, mos_problems

bool isIn(config::ValueType type, std::initializer_list<config::ValueType> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

isolation::SectionCheck::Value valueOf(std::string key, const config::ConfigEntry &entry) {
  using config::ValueType;
  isolation::SectionCheck::Value value{std::move(key), entry.value.text};
  const ValueType type = entry.spec.type;
  if (isIn(type, {ValueType::Int, ValueType::Bool, ValueType::Duration, ValueType::Size}))
    value.integer = entry.value.integer;
  if (isIn(type, {ValueType::Int, ValueType::Number})) value.number = entry.value.number;
  if (isIn(type, {ValueType::List, ValueType::Listen, ValueType::Urls, ValueType::Rate}))
    value.items = entry.value.items;
  return value;
}

void addSection(isolation::SectionCheck &check, const config::Config &config, const std::string &name,
                const std::string &prefix) {
  const auto section = config.sections().find(name);
  if (section == config.sections().end()) return;
  for (const auto &[key, entry] : section->second.entries)
    if (prefix.empty() || !entry.spec.isSecret()) check.add(valueOf(prefix + key, entry));
}

/// Whom the daemon runs as, where root looks on.
std::optional<uid_t> serviceUser(const config::Config &config) {
  struct stat info {};
  if (::geteuid() != 0 || ::stat(config.getString("platform", "data_dir").c_str(), &info) != 0) return std::nullopt;
  return info.st_uid != 0 ? std::optional(info.st_uid) : std::nullopt;
}

/// For a terminal, on one line.
std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, ' ');
  return text;
}

} // namespace

SectionChecks::SectionChecks(std::filesystem::path program, const config::Config &config,
                             const std::vector<plugin::DiscoveredPlugin> &plugins)
    : program_(std::move(program)), config_(config),
      patience_(std::min(kPatience, config.getDuration("plugins", "start_timeout"))) {
  for (const plugin::DiscoveredPlugin &plugin : plugins) {
    if (!plugin.manifest || !config.isPluginEnabled(plugin.id)) continue;
    for (const auto &provide : plugin.manifest->provides)
      services_.push_back(provide.service);
  }
}

void SectionChecks::run(const plugin::DiscoveredPlugin &plugin) {
  if (!plugin.manifest || !plugin.manifest->checksConfig || !config_.isPluginEnabled(plugin.id)) return;
  isolation::SectionCheck check;
  addSection(check, config_, plugin.id, "");
  for (const std::string &shared : config::sharedSections())
    addSection(check, config_, shared, shared + ".");
  std::vector<std::string> exposed;
  for (config::Exposure &exposure : config::exposures(config_))
    exposed.push_back(std::move(exposure.what));
  check.add({"platform.exposures", {}, {}, {}, std::move(exposed)});
  check.add({"platform.services", {}, {}, {}, services_});
  const auto result = check.run(program_, plugin.facts.copy, serviceUser(config_), patience_);
  for (const auto &[key, text] : result.problems) {
    const bool warns = text.rfind(kWarning, 0) == 0;
    (warns ? warnings_ : problems_).push_back(lineOf(plugin.id, key, warns ? text.substr(kWarning.size()) : text));
  }
  if (!result.failure.empty()) {
    throw Error(Status::FailedPrecondition,
                "the plugin " + plugin.id + " could not check its section: " + plain(result.failure), "PLUGIN_CHECK");
  }
}

std::string SectionChecks::lineOf(const std::string &section, const std::string &key, const std::string &said) const {
  const std::string text = log::redacted(plain(said), config_.secrets());
  const config::ConfigEntry *entry = config_.find(section, key);
  if (entry != nullptr)
    return config::ConfigProblem{entry->origin, "[" + section + "] " + key + ": " + text}.toString();
  return "[" + section + "]: " + (key.empty() ? "" : plain(key) + ": ") + text;
}

} // namespace matrixos::daemon
