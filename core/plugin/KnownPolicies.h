#pragma once

#include "plugin/Manifest.h"

#include <filesystem>
#include <string>

namespace matrixos::plugin {

/// Which plugins decide who reaches an instance: an empty file `<folder>/<id>` for each that was found to provide
/// matrixos.policy/1. One whose file is damaged, missing or in quarantine cannot be asked what it provides; it still
/// stands in the way, where it would let nobody in. Thread-safe: all state is in the files.
class KnownPolicies {
public:
  explicit KnownPolicies(std::filesystem::path folder) : folder_(std::move(folder)) {}

  static bool isOne(const Manifest &manifest) noexcept;

  /// What was found out about the plugin. What cannot be written is logged, and forgotten at the next start.
  void note(const std::string &id, bool isPolicy) const noexcept;
  /// Whether the plugin is one, as far as is known; also where that cannot be read.
  bool has(const std::string &id) const noexcept;

private:
  std::filesystem::path folder_;
};

} // namespace matrixos::plugin
