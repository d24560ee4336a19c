#pragma once

#include "IniFile.h"

#include <matrixos/abi/plugin.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// A plugin's section: its declared keys with their defaults, and what the configuration says on top.
class PluginConfig {
public:
  struct Value {
    std::string type;
    std::string text;
    std::int64_t integer = 0;
    double number = 0;
    std::vector<std::string> list;
  };

  /// Throws std::runtime_error that names the key: undeclared, required and missing, or no value of its type.
  PluginConfig(const mos_descriptor_v1 &descriptor, const IniFile::Section &given);
  void add(const std::string &name, const std::string &text);
  /// Null when the key is not declared.
  const Value *find(const std::string &key) const;

private:
  std::map<std::string, Value> values_;
};

/// "30s" as milliseconds. Throws std::runtime_error.
std::int64_t parseDuration(const std::string &text);
/// Words between commas.
std::vector<std::string> splitList(const std::string &text, char separator = ',');

} // namespace matrixos::conformance
