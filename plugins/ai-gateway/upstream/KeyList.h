/// The platform's own keys for upstreams.
#pragma once

#include <matrixos/host/config.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// Immutable. Overwritten when the last who uses it lets go.
class KeyList {
public:
  KeyList() = default;
  /// One key a line; blanks around a key and empty lines do not count.
  explicit KeyList(std::string_view lines);

  std::size_t size() const noexcept { return keys_.size(); }
  bool empty() const noexcept { return keys_.empty(); }
  std::string_view at(std::size_t index) const noexcept { return keys_[index].reveal(); }
  /// Whether the text has one of them somewhere.
  bool isIn(std::string_view text) const noexcept;
  /// Bytes at the end of the text that may be the beginning of one of them.
  std::size_t begunAtEnd(std::string_view text) const noexcept;
  /// Overwrites each of them in the text with as many `x`.
  void cutOut(char *text, std::size_t size) const noexcept;

  bool operator==(const KeyList &other) const noexcept;

private:
  std::vector<Secret> keys_;
  std::size_t longest_ = 0;
};

} // namespace matrixos::gateway
