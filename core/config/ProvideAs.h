#pragma once

#include "config/Config.h"

#include <optional>
#include <string>
#include <string_view>

namespace matrixos::config {

/// One item of [plugins] provide_as, "lifecycle:matrixos.lifecycle/1=base": the plugin provides its service under that
/// instance name, so that another plugin can stand in front of it.
struct ProvideAs {
  std::string plugin, service, instance;

  /// Empty for a text of another form.
  static std::optional<ProvideAs> parse(std::string_view item);
  /// The name that the plugin's service has by the configuration; empty when it keeps its own.
  static std::string instanceOf(const Config &config, const std::string &plugin, const std::string &service);
};

} // namespace matrixos::config
