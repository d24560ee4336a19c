#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::simulated {

/// IPv4 addresses of one network, handed out one after the other and not again until the last was. Not thread-safe.
class AddressPool {
public:
  /// "127.64.0.0/15". Throws Error(InvalidArgument) when it is none, or is smaller than /30 or larger than /8.
  explicit AddressPool(std::string_view network);

  /// Throws Error(ResourceExhausted) when all are in use.
  std::uint32_t take();
  void give(std::uint32_t address) noexcept {
    if (address - first_ < used_.size()) used_[address - first_] = false;
  }
  /// Notes that an address, perhaps of another network, is in use.
  void mark(std::uint32_t address) noexcept;

  static std::string text(std::uint32_t address);

private:
  std::string network_;
  std::uint32_t first_ = 0;
  std::vector<bool> used_;
  std::size_t next_ = 0;
};

} // namespace matrixos::simulated
