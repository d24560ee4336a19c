#include "PluginConfig.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

namespace matrixos::conformance {

namespace {

/// The number at the beginning; `unit` gets what follows it.
double leadingNumber(const std::string &text, std::string &unit) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception &) {
    throw std::runtime_error("\"" + text + "\" is no number");
  }
  unit = trimmed(text.substr(used));
  return value;
}

double scaled(const std::string &text, const std::map<std::string, double> &units) {
  std::string unit;
  const double value = leadingNumber(text, unit);
  const auto found = units.find(unit);
  if (found == units.end()) throw std::runtime_error("\"" + text + "\" has an unknown unit");
  return value * found->second;
}

std::int64_t parseBool(const std::string &text) {
  for (const char *yes : {"true", "yes", "on", "1"})
    if (text == yes) return 1;
  for (const char *no : {"false", "no", "off", "0"})
    if (text == no) return 0;
  throw std::runtime_error("\"" + text + "\" is neither true nor false");
}

void checkEnum(const std::string &text, const char *range) {
  const std::vector<std::string> words = splitList(range == nullptr ? "" : range, '|');
  if (std::find(words.begin(), words.end(), text) == words.end())
    throw std::runtime_error("\"" + text + "\" is none of " + (range == nullptr ? "" : range));
}

PluginConfig::Value parse(const std::string &type, const std::string &text, const char *range) {
  static const std::map<std::string, double> kNone{{"", 1}};
  static const std::map<std::string, double> kSizes{
      {"", 1}, {"B", 1}, {"KB", 1024.0}, {"MB", 1048576.0}, {"GB", 1073741824.0}};
  PluginConfig::Value value{type, text, 0, 0, {}};
  if (type == "int") value.number = scaled(text, kNone);
  if (type == "number") value.number = scaled(text, kNone);
  if (type == "size") value.number = scaled(text, kSizes);
  if (type == "duration") value.number = static_cast<double>(parseDuration(text));
  if (type == "bool") value.number = static_cast<double>(parseBool(text));
  if (type == "list" || type == "listen" || type == "urls") value.list = splitList(text);
  if (type == "enum") checkEnum(text, range);
  value.integer = static_cast<std::int64_t>(value.number);
  return value;
}

std::string textFor(const mos_config_key &key, const IniFile::Section &given) {
  const auto found = given.find(key.key);
  if (found != given.end()) return found->second;
  if (const auto file = given.find(std::string(key.key) + "_file"); file != given.end()) {
    std::ifstream in(file->second);
    if (!in) throw std::runtime_error("cannot read " + file->second);
    return trimmed(std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if ((key.flags & MOS_KEY_REQUIRED) != 0) throw std::runtime_error("it has to be set");
  return key.default_value == nullptr ? "" : key.default_value;
}

} // namespace

std::vector<std::string> splitList(const std::string &text, char separator) {
  std::vector<std::string> words;
  for (std::size_t from = 0; from <= text.size();) {
    std::size_t to = text.find(separator, from);
    if (to == std::string::npos) to = text.size();
    if (const std::string word = trimmed(text.substr(from, to - from)); !word.empty()) words.push_back(word);
    from = to + 1;
  }
  return words;
}

std::int64_t parseDuration(const std::string &text) {
  static const std::map<std::string, double> kUnits{
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  return static_cast<std::int64_t>(scaled(text, kUnits));
}

PluginConfig::PluginConfig(const mos_descriptor_v1 &descriptor, const IniFile::Section &given) {
  for (std::uint32_t i = 0; i < descriptor.config_keys_count; ++i) {
    const mos_config_key &key = descriptor.config_keys[i];
    try {
      values_[key.key] = parse(key.type, textFor(key, given), key.range);
    } catch (const std::runtime_error &e) {
      throw std::runtime_error("[" + std::string(descriptor.id) + "] " + key.key + ": " + e.what());
    }
  }
  for (const auto &[key, text] : given) {
    const std::string twin =
        key.size() > 5 && key.compare(key.size() - 5, 5, "_file") == 0 ? key.substr(0, key.size() - 5) : key;
    if (values_.count(key) == 0 && values_.count(twin) == 0)
      throw std::runtime_error("[" + std::string(descriptor.id) + "] has no key \"" + key + "\"");
  }
}

void PluginConfig::add(const std::string &name, const std::string &text) {
  values_[name] = parse("string", text, nullptr);
}

const PluginConfig::Value *PluginConfig::find(const std::string &key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

} // namespace matrixos::conformance
