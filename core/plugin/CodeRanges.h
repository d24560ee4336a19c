#pragma once

#include "plugin/PluginScope.h"

#include <cstdint>

namespace matrixos::plugin {

/// Where the machine code of plugins lies. Code is never unloaded, so ranges only ever come; find() is
/// async-signal-safe.
class CodeRanges {
public:
  /// Notes the executable segments of the shared object that contains `address`. Beyond some thousand, as after as many
  /// reloads, further ones are not noted.
  static void add(const PluginTag *plugin, const void *address) noexcept;
  /// Whose code is at this address; null when it is no plugin's.
  static const PluginTag *find(std::uintptr_t address) noexcept;
};

} // namespace matrixos::plugin
