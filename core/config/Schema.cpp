#include "config/Schema.h"

#include "config/Text.h"
#include "config/UrlValue.h"
#include "config/ValueParser.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace matrixos::config {

namespace {

constexpr std::array<std::pair<std::string_view, ValueType>, 15> kTypes{{
    {"string", ValueType::String},
    {"int", ValueType::Int},
    {"number", ValueType::Number},
    {"bool", ValueType::Bool},
    {"duration", ValueType::Duration},
    {"size", ValueType::Size},
    {"list", ValueType::List},
    {"path", ValueType::Path},
    {"listen", ValueType::Listen},
    {"enum", ValueType::Enum},
    {"url", ValueType::Url},
    {"urls", ValueType::Urls},
    {"domain", ValueType::Domain},
    {"pattern", ValueType::Pattern},
    {"rate", ValueType::Rate},
}};

std::string textOf(const char *text) {
  return text != nullptr ? text : "";
}

/// [a-z][a-z0-9]* with `joint` between the parts: the grammar of section names ('-') and of keys ('_').
bool isName(std::string_view text, char joint) {
  if (text.empty() || text.front() < 'a' || text.front() > 'z') return false;
  return std::all_of(text.begin(), text.end(),
                     [joint](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == joint; });
}

ValueType readType(const std::string &word) {
  for (const auto &[name, type] : kTypes) {
    if (name == word) return type;
  }
  throw Error(Status::InvalidArgument, "the type " + quote(word) + " does not exist");
}

/// Reads "min..max" into the bounds; either side may be empty.
void readBounds(KeySpec &key) {
  const std::size_t dots = key.range.find("..");
  if (dots == std::string::npos) throw Error(Status::InvalidArgument, "the range is not of the form min..max");
  KeySpec unbounded;
  unbounded.type = key.type;
  const auto read = [&](const std::string &text, std::optional<std::int64_t> &whole, std::optional<double> &number) {
    if (text.empty()) return;
    const ConfigValue value = parseValue(unbounded, text);
    if (key.type == ValueType::Number)
      number = value.number;
    else
      whole = value.integer;
  };
  read(key.range.substr(0, dots), key.minimum, key.minimumNumber);
  read(key.range.substr(dots + 2), key.maximum, key.maximumNumber);
}

/// What stands between the bars.
std::vector<std::string> readWords(std::string_view range) {
  std::vector<std::string> words;
  for (std::size_t start = 0; start <= range.size();) {
    const std::size_t bar = std::min(range.find('|', start), range.size());
    if (bar > start) words.emplace_back(range.substr(start, bar - start));
    start = bar + 1;
  }
  return words;
}

void readRange(KeySpec &key) {
  switch (key.type) {
  case ValueType::Enum:
    key.words = readWords(key.range);
    if (key.words.empty()) throw Error(Status::InvalidArgument, "an enum lists its words in the range");
    break;
  case ValueType::Url:
  case ValueType::Urls:
    key.words = readWords(key.range.empty() ? "http|https" : key.range);
    if (key.words.empty() || !std::all_of(key.words.begin(), key.words.end(), isScheme))
      throw Error(Status::InvalidArgument, "the range of a url, or of urls, lists schemes, like http|https");
    break;
  case ValueType::Pattern:
    if (key.range.empty()) throw Error(Status::InvalidArgument, "a pattern has a regular expression as its range");
    key.pattern.emplace(key.range);
    break;
  case ValueType::Int:
  case ValueType::Number:
  case ValueType::Duration:
  case ValueType::Size:
    if (!key.range.empty()) readBounds(key);
    break;
  default:
    break;
  }
}

KeySpec readKey(const mos_config_key &declared) {
  KeySpec key;
  key.name = textOf(declared.key);
  key.defaultValue = textOf(declared.default_value);
  key.range = textOf(declared.range);
  key.help = textOf(declared.help);
  key.flags = declared.flags;
  if (!isName(key.name, '_')) {
    throw Error(Status::InvalidArgument, "a key's name is made of a-z, 0-9 and _, and starts with a letter");
  }
  key.type = readType(textOf(declared.type));
  readRange(key);
  if (key.isSecret() && !key.defaultValue.empty()) throw Error(Status::InvalidArgument, "a secret has no default");
  if (key.isPublic() && key.type != ValueType::Bool) {
    throw Error(Status::InvalidArgument, "MOS_KEY_PUBLIC belongs to keys of type bool");
  }
  if (!key.defaultValue.empty()) parseValue(key, key.defaultValue);
  return key;
}

/// A secret's twin is a key too, so nothing else may carry its name.
void refuseTwice(const SectionSpec &section, const KeySpec &key) {
  const auto clash = [](const KeySpec &a, const KeySpec &b) {
    return a.name == b.name || (a.isSecret() && a.name + "_file" == b.name);
  };
  for (const auto &other : section.keys) {
    if (clash(other, key) || clash(key, other)) throw Error(Status::InvalidArgument, "the key is declared twice");
  }
}

} // namespace

const KeySpec *SectionSpec::find(std::string_view key) const noexcept {
  const auto found = std::find_if(keys.begin(), keys.end(), [key](const KeySpec &spec) { return spec.name == key; });
  return found != keys.end() ? &*found : nullptr;
}

void Schema::addSection(std::string_view name, std::string_view help, std::span<const mos_config_key> keys) {
  add({std::string(name), std::string(help), {}, false, {}}, keys);
}

void Schema::addPlugin(std::string_view id, std::string_view description, std::span<const mos_config_key> keys) {
  add({std::string(id), std::string(description), {}, true, {}}, keys);
}

void Schema::addUncheckedPlugin(std::string_view id, std::string_view reason) {
  add({std::string(id), {}, {}, true, std::string(reason)}, {});
}

void Schema::setEmptyMeaning(std::string_view section, std::string_view key, std::string_view meaning) {
  for (auto &spec : sections_) {
    if (spec.name != section) continue;
    for (auto &declared : spec.keys) {
      if (declared.name == key) declared.emptyMeans = meaning;
    }
  }
}

void Schema::add(SectionSpec section, std::span<const mos_config_key> keys) {
  const std::string where = (section.isPlugin ? "plugin " : "section ") + quote(section.name);
  if (!isName(section.name, '-')) {
    throw Error(Status::InvalidArgument, where + ": the name is made of a-z, 0-9 and -, and starts with a letter");
  }
  if (find(section.name) != nullptr) {
    throw Error(Status::InvalidArgument, where + ": a section of that name is declared already");
  }
  for (const auto &declared : keys) {
    try {
      KeySpec key = readKey(declared);
      refuseTwice(section, key);
      section.keys.push_back(std::move(key));
    } catch (const Error &e) {
      throw Error(Status::InvalidArgument,
                  where + " declares the key " + quote(textOf(declared.key)) + " wrongly: " + e.what());
    }
  }
  sections_.push_back(std::move(section));
}

const SectionSpec *Schema::find(std::string_view section) const noexcept {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [section](const SectionSpec &spec) { return spec.name == section; });
  return found != sections_.end() ? &*found : nullptr;
}

std::string environmentName(std::string_view section, std::string_view key) {
  std::string name = "MATRIXOS_" + std::string(section) + "_" + std::string(key);
  for (char &c : name)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view typeName(ValueType type) noexcept {
  for (const auto &[name, known] : kTypes) {
    if (known == type) return name;
  }
  return "string";
}

} // namespace matrixos::config
