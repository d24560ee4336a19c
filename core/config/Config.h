#pragma once

#include "config/ConfigError.h"
#include "config/Schema.h"
#include "config/ValueParser.h"

#include <matrixos/rate.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config {

/// A key's effective value, what it had to fit, and where it came from.
struct ConfigEntry {
  KeySpec spec;
  ConfigValue value;
  Origin origin;
  /// The file that a secret was read from, through its `_file` twin; empty otherwise.
  std::string secretFile;
  /// "credential:NAME" where the file is a systemd credential; empty otherwise.
  std::string credential;
  /// The credential is not here to be looked at, and the value means nothing; see LoadOptions::onlyLooks.
  bool unseen = false;
};

/// A section's effective values by key.
struct Section {
  bool isPlugin = false;
  /// A plugin's section counts only while plugins.enabled names the plugin; the core's always do.
  bool isEnabled = true;
  std::map<std::string, ConfigEntry, std::less<>> entries;
};

/// A listener that an enabled part of the daemon opens.
struct ConfiguredListener {
  std::string section;
  std::string key;
  ListenAddress address;
};

/// One key whose value differs between two configurations.
struct KeyChange {
  std::string section;
  std::string key;
  /// Canonical texts; "(secret)" for secrets, "(absent)" where the key does not exist.
  std::string from;
  std::string to;
  /// Takes effect on reload; otherwise what uses it has to be restarted.
  bool isLive = false;
  /// Containers that are there keep what they were created with.
  bool isForCreation = false;

  /// `[lifecycle] idle_timeout: 30m → 1h`, with "(new containers only)" behind it where that is so.
  std::string toString() const;
};

class Config;
using ConfigPtr = std::shared_ptr<const Config>;

/// The effective configuration: complete, valid, immutable, and therefore shared between threads without locks.
/// Every getter throws Error(NotFound) for a key that no schema declares and Error(InvalidArgument) for one of another
/// type; references live as long as the Config.
class Config {
public:
  using Sections = std::map<std::string, Section, std::less<>>;

  Config(Sections sections, std::vector<std::string> files, std::vector<std::string> warnings);
  /// Overwrites the secrets, so that one that was replaced does not stay in memory.
  ~Config();
  Config(const Config &) = delete;
  Config &operator=(const Config &) = delete;

  /// Any type, as canonical text. A secret's value too: whoever asks for it by name may have it.
  const std::string &getString(std::string_view section, std::string_view key) const;
  /// int; bool as 0 or 1; duration in milliseconds; size in bytes.
  std::int64_t getInt(std::string_view section, std::string_view key) const;
  /// number, int.
  double getNumber(std::string_view section, std::string_view key) const;
  bool getBool(std::string_view section, std::string_view key) const;
  std::chrono::milliseconds getDuration(std::string_view section, std::string_view key) const;
  /// In bytes.
  std::uint64_t getSize(std::string_view section, std::string_view key) const;
  Rate getRate(std::string_view section, std::string_view key) const;
  /// list, urls; listen as texts; rate as its count and milliseconds.
  const std::vector<std::string> &getList(std::string_view section, std::string_view key) const;
  const std::vector<ListenAddress> &getListen(std::string_view section, std::string_view key) const;

  /// True unless the value is empty.
  bool isSet(std::string_view section, std::string_view key) const { return !get(section, key).value.text.empty(); }
  /// Null when there is no such key.
  const ConfigEntry *find(std::string_view section, std::string_view key) const noexcept;
  const Sections &sections() const noexcept { return sections_; }
  /// The ids in plugins.enabled.
  const std::vector<std::string> &enabledPlugins() const { return getList("plugins", "enabled"); }
  bool isPluginEnabled(std::string_view id) const;
  /// Values of the secrets that are set.
  std::vector<std::string> secrets() const;
  /// Of the core and all enabled plugins.
  std::vector<ConfiguredListener> listeners() const;

  /// Files that were read, in order.
  const std::vector<std::string> &files() const noexcept { return files_; }
  /// What is odd, but no reason to refuse the configuration; for the log.
  const std::vector<std::string> &warnings() const noexcept { return warnings_; }

  /// How much dump() tells.
  enum class Detail { Values, ValuesAndOrigins };
  /// The whole configuration as INI in canonical spelling and order, so that equal configurations give equal texts
  /// whatever format they were written in. It can be read again; secrets are left out.
  std::string dump(Detail detail = Detail::ValuesAndOrigins) const;

private:
  const ConfigEntry &get(std::string_view section, std::string_view key) const;

  Sections sections_;
  std::vector<std::string> files_;
  std::vector<std::string> warnings_;
};

/// What differs between two configurations, by section and key. A section that only one of them has counts as
/// changed, key by key.
std::vector<KeyChange> diff(const Config &from, const Config &to);

} // namespace matrixos::config
