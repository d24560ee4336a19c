#include "config/Config.h"

#include "common/Wipe.h"
#include "config/Text.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <initializer_list>

namespace matrixos::config {

namespace {

constexpr const char *kSecret = "(secret)";
constexpr const char *kAbsent = "(absent)";

std::string nameOf(std::string_view section, std::string_view key) {
  return "[" + std::string(section) + "] " + std::string(key);
}

void expectType(const ConfigEntry &entry, std::string_view section, std::initializer_list<ValueType> types) {
  if (std::find(types.begin(), types.end(), entry.spec.type) != types.end()) return;
  throw Error(Status::InvalidArgument,
              nameOf(section, entry.spec.name) + " is of type " + std::string(typeName(entry.spec.type)), "WRONG_TYPE");
}

/// Quoted where reading it back would otherwise change it. A value that needs quotes came out of quotes, so one of the
/// two marks is free.
std::string written(const std::string &text) {
  if (unquote(text) == text && !looksCommented(text)) return text;
  const char mark = text.find('"') == std::string::npos ? '"' : '\'';
  return mark + text + mark;
}

/// What the operator wrote: of a credential its name.
const std::string &asWritten(const ConfigEntry &entry) {
  return entry.credential.empty() ? entry.value.text : entry.credential;
}

std::string shown(const ConfigEntry *entry) {
  if (entry == nullptr) return kAbsent;
  if (entry->spec.isSecret()) return entry->value.text.empty() ? "" : kSecret;
  return asWritten(*entry);
}

void dumpEntry(std::string &out, const std::string &key, const ConfigEntry &entry, Config::Detail detail) {
  if (detail == Config::Detail::ValuesAndOrigins) {
    out += "; " + entry.origin.toString();
    if (!entry.secretFile.empty())
      out += ", read from " + (entry.credential.empty() ? entry.secretFile : entry.credential);
    out += "\n";
  }
  if (entry.spec.isSecret() && !entry.value.text.empty()) {
    out += "; " + key + " = " + kSecret + "\n";
    return;
  }
  const std::string value = written(asWritten(entry));
  out += key + (value.empty() ? " =" : " = " + value) + "\n";
}

/// Compares one section; `from` or `to` may be null.
void diffSection(std::vector<KeyChange> &changes, const std::string &name, const Section *from, const Section *to) {
  std::map<std::string, std::pair<const ConfigEntry *, const ConfigEntry *>> keys;
  if (from != nullptr) {
    for (const auto &[key, entry] : from->entries)
      keys[key].first = &entry;
  }
  if (to != nullptr) {
    for (const auto &[key, entry] : to->entries)
      keys[key].second = &entry;
  }
  for (const auto &[key, pair] : keys) {
    const auto [before, after] = pair;
    if (before != nullptr && after != nullptr && before->value.text == after->value.text) continue;
    const bool live = before != nullptr && after != nullptr && after->spec.isLive();
    const bool creation = after != nullptr && after->spec.isForCreation();
    changes.push_back({name, key, shown(before), shown(after), live, creation});
  }
}

} // namespace

std::string KeyChange::toString() const {
  return nameOf(section, key) + ": " + from + " → " + to + (isForCreation ? " (new containers only)" : "");
}

Config::Config(Sections sections, std::vector<std::string> files, std::vector<std::string> warnings)
    : sections_(std::move(sections)), files_(std::move(files)), warnings_(std::move(warnings)) {}

Config::~Config() {
  for (auto &[name, section] : sections_) {
    for (auto &[key, entry] : section.entries)
      if (entry.spec.isSecret()) common::wipe(entry.value.text);
  }
}

std::vector<std::string> Config::secrets() const {
  std::vector<std::string> values;
  for (const auto &[name, section] : sections_) {
    for (const auto &[key, entry] : section.entries)
      if (entry.spec.isSecret() && !entry.value.text.empty()) values.push_back(entry.value.text);
  }
  return values;
}

const ConfigEntry *Config::find(std::string_view section, std::string_view key) const noexcept {
  const auto found = sections_.find(section);
  if (found == sections_.end()) return nullptr;
  const auto entry = found->second.entries.find(key);
  return entry != found->second.entries.end() ? &entry->second : nullptr;
}

const ConfigEntry &Config::get(std::string_view section, std::string_view key) const {
  const ConfigEntry *entry = find(section, key);
  if (entry == nullptr) throw Error(Status::NotFound, nameOf(section, key) + " is not declared", "UNKNOWN_KEY");
  return *entry;
}

const std::string &Config::getString(std::string_view section, std::string_view key) const {
  return get(section, key).value.text;
}

std::int64_t Config::getInt(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Int, ValueType::Bool, ValueType::Duration, ValueType::Size});
  return entry.value.integer;
}

double Config::getNumber(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Number, ValueType::Int});
  return entry.value.number;
}

bool Config::getBool(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Bool});
  return entry.value.integer != 0;
}

std::chrono::milliseconds Config::getDuration(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Duration});
  return std::chrono::milliseconds(entry.value.integer);
}

std::uint64_t Config::getSize(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Size});
  return static_cast<std::uint64_t>(entry.value.integer);
}

const std::vector<std::string> &Config::getList(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::List, ValueType::Listen, ValueType::Urls, ValueType::Rate});
  return entry.value.items;
}

Rate Config::getRate(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Rate});
  const auto &items = entry.value.items;
  if (items.empty()) return {};
  const auto number = [](const std::string &text) { return static_cast<std::uint32_t>(std::stoul(text)); };
  return {number(items[0]), number(items[1])};
}

const std::vector<ListenAddress> &Config::getListen(std::string_view section, std::string_view key) const {
  const ConfigEntry &entry = get(section, key);
  expectType(entry, section, {ValueType::Listen});
  return entry.value.addresses;
}

bool Config::isPluginEnabled(std::string_view id) const {
  const auto &enabled = enabledPlugins();
  return std::find(enabled.begin(), enabled.end(), id) != enabled.end();
}

std::vector<ConfiguredListener> Config::listeners() const {
  std::vector<ConfiguredListener> result;
  for (const auto &[name, section] : sections_) {
    if (!section.isEnabled) continue;
    for (const auto &[key, entry] : section.entries) {
      for (const auto &address : entry.value.addresses)
        result.push_back({name, key, address});
    }
  }
  return result;
}

std::string Config::dump(Detail detail) const {
  std::string out;
  for (const auto &[name, section] : sections_) {
    if (!out.empty()) out += "\n";
    if (detail == Detail::ValuesAndOrigins && !section.isEnabled) out += "; not in plugins.enabled\n";
    out += "[" + name + "]\n";
    for (const auto &[key, entry] : section.entries)
      dumpEntry(out, key, entry, detail);
  }
  return out;
}

std::vector<KeyChange> diff(const Config &from, const Config &to) {
  std::map<std::string, std::pair<const Section *, const Section *>> names;
  for (const auto &[name, section] : from.sections())
    names[name].first = &section;
  for (const auto &[name, section] : to.sections())
    names[name].second = &section;
  std::vector<KeyChange> changes;
  for (const auto &[name, pair] : names)
    diffSection(changes, name, pair.first, pair.second);
  return changes;
}

} // namespace matrixos::config
