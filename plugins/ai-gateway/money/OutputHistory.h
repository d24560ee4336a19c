/// How much users let models write.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::gateway {

/// The last 100 outputs of each user with each model. Of more than `capacity` pairs, 500 bytes each, those that were
/// used longest ago are forgotten. Not thread-safe.
class OutputHistory {
public:
  explicit OutputHistory(std::size_t capacity = 4096) : capacity_(capacity) {}

  void add(std::string_view user, std::string_view model, std::uint32_t tokens);
  /// The 95th percentile (nearest rank); nothing without any output.
  std::optional<std::uint32_t> percentile(std::string_view user, std::string_view model) const;

private:
  static constexpr std::size_t kOutputs = 100;
  struct Entry {
    std::string key;
    std::array<std::uint32_t, kOutputs> outputs{};
    std::size_t added = 0;
  };

  std::size_t capacity_;
  std::list<Entry> entries_; ///< the one used last is the first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;
};

} // namespace matrixos::gateway
