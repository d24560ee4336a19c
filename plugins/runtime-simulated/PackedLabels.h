#pragma once

#include "Spec.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::simulated {

/// Names of labels as numbers. A hundred thousand instances carry the same seven names.
class LabelNames {
public:
  /// Nothing when no label was ever called that.
  const std::uint32_t *find(std::string_view name) const;
  std::uint32_t number(std::string_view name);
  const std::string &name(std::uint32_t number) const { return names_[number]; }

private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

/// An instance's labels in one allocation: name's number, length, text, and so on.
class PackedLabels {
public:
  PackedLabels() = default;
  PackedLabels(const Labels &labels, LabelNames &names);

  /// Calls `label(number of the name, value)` for each, in order.
  void each(auto &&label) const {
    const char *at = bytes_.data();
    const char *const end = at + bytes_.size();
    while (at != end) {
      const auto name = static_cast<std::uint32_t>(takeNumber(at));
      const auto size = static_cast<std::size_t>(takeNumber(at));
      label(name, std::string_view(at, size));
      at += size;
    }
  }
  /// "" when there is no such label.
  std::string_view value(std::uint32_t name) const;

private:
  static std::uint64_t takeNumber(const char *&at) noexcept;

  std::string bytes_;
};

} // namespace matrixos::simulated
