#pragma once

#include "config/Pattern.h"

#include <matrixos/abi/plugin.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config {

/// What a key's value is, with the words of mos_config_key.type.
enum class ValueType {
  String,
  Int,
  Number,
  Bool,
  Duration,
  Size,
  List,
  Path,
  Listen,
  Enum,
  Url,
  Urls,
  Domain,
  Pattern,
  Rate
};

/// One key as the core or a plugin declared it (mos_config_key), with its range read.
struct KeySpec {
  std::string name;
  ValueType type = ValueType::String;
  /// As an operator would write it; may hold <data_dir>.
  std::string defaultValue;
  /// What an empty value stands for, when that is known only at run time; empty otherwise.
  std::string emptyMeans;
  /// As declared: "1m..24h", "json|text" or "[a-z]+", empty when there is none.
  std::string range;
  std::string help;
  /// MOS_KEY_…
  std::uint32_t flags = 0;

  /// Bounds of int, duration (milliseconds) and size (bytes).
  std::optional<std::int64_t> minimum;
  std::optional<std::int64_t> maximum;
  /// Bounds of number.
  std::optional<double> minimumNumber;
  std::optional<double> maximumNumber;
  /// The choices of an enum; the schemes of a url or of urls.
  std::vector<std::string> words;
  /// Of a pattern.
  std::optional<Pattern> pattern;

  bool isLive() const noexcept { return (flags & MOS_KEY_LIVE) != 0; }
  bool isRequired() const noexcept { return (flags & MOS_KEY_REQUIRED) != 0; }
  bool isSecret() const noexcept { return (flags & MOS_KEY_SECRET) != 0; }
  bool isPublic() const noexcept { return (flags & MOS_KEY_PUBLIC) != 0; }
  bool isPort() const noexcept { return (flags & MOS_KEY_PORT) != 0; }
  bool isImage() const noexcept { return (flags & MOS_KEY_IMAGE) != 0; }
  bool isForCreation() const noexcept { return (flags & MOS_KEY_CREATE) != 0; }
};

/// One section: of the core, or of the plugin of that name.
struct SectionSpec {
  std::string name;
  std::string help;
  std::vector<KeySpec> keys;
  bool isPlugin = false;
  /// Set when nobody can say what the section may hold, e.g. because the plugin's file is missing: its keys are
  /// accepted unread, and the text tells why.
  std::string uncheckedBecause;

  /// Null when the section has no such key.
  const KeySpec *find(std::string_view key) const noexcept;
};

/// Every section and key that a configuration may hold. Made on one thread, then only read.
class Schema {
public:
  /// A section of the core. Throws Error(InvalidArgument) like addPlugin.
  void addSection(std::string_view name, std::string_view help, std::span<const mos_config_key> keys);
  /// The section of a plugin, enabled or not. Copies everything. Throws Error(InvalidArgument) that names plugin and
  /// key when the declaration is wrong: a bad name, an unknown type, a range or default that cannot be read, a second
  /// section or key of that name.
  void addPlugin(std::string_view id, std::string_view description, std::span<const mos_config_key> keys);
  /// Accepts the section of a plugin that could not say what its keys are; validation warns about it.
  void addUncheckedPlugin(std::string_view id, std::string_view reason);

  /// What the key's value is when it is left empty. The key has to exist.
  void setEmptyMeaning(std::string_view section, std::string_view key, std::string_view meaning);

  /// Null when nobody declared the section.
  const SectionSpec *find(std::string_view section) const noexcept;
  /// In the order they were added.
  const std::vector<SectionSpec> &sections() const noexcept { return sections_; }

private:
  void add(SectionSpec section, std::span<const mos_config_key> keys);

  std::vector<SectionSpec> sections_;
};

/// The environment variable of a key: MATRIXOS_RUNTIME_DOCKER_ENDPOINT for [runtime-docker] endpoint.
std::string environmentName(std::string_view section, std::string_view key);

/// The word of mos_config_key.type for a type.
std::string_view typeName(ValueType type) noexcept;

} // namespace matrixos::config
