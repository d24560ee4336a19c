#include "AddressPool.h"

#include <matrixos/address.hpp>

#include <charconv>
#include <cstring>

namespace matrixos::simulated {

AddressPool::AddressPool(std::string_view network) : network_(network) {
  const std::size_t slash = network_.find('/');
  const auto base = Address::tryIp(std::string_view(network_).substr(0, slash));
  unsigned bits = 0;
  const std::string digits = slash == std::string::npos ? "" : network_.substr(slash + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const bool number = failure == std::errc{} && end == digits.data() + digits.size() && bits >= 8 && bits <= 30;
  if (!number || !base || base->family() != AF_INET) {
    throw Error(Status::InvalidArgument,
                "[runtime-simulated] addresses is \"" + network_ +
                    "\"; write an IPv4 network with 8 to 30 bits, like 127.64.0.0/15",
                "BAD_CONFIG");
  }
  const std::uint32_t size = 1U << (32U - bits);
  std::uint32_t address = 0;
  std::memcpy(&address, base->bytes().data() + 12, sizeof address);
  first_ = (ntohl(address) & ~(size - 1)) + 1;
  used_.resize(size - 2); // neither the network's own address nor that of all in it
}

std::uint32_t AddressPool::take() {
  for (std::size_t tried = 0; tried < used_.size(); ++tried) {
    const std::size_t at = next_;
    next_ = (next_ + 1) % used_.size();
    if (used_[at]) continue;
    used_[at] = true;
    return first_ + static_cast<std::uint32_t>(at);
  }
  throw Error(Status::ResourceExhausted,
              "all addresses of " + network_ + " are in use; set [runtime-simulated] addresses to a larger network",
              "NO_ADDRESS");
}

void AddressPool::mark(std::uint32_t address) noexcept {
  if (address - first_ >= used_.size()) return;
  used_[address - first_] = true;
  next_ = (address - first_ + 1) % used_.size();
}

std::string AddressPool::text(std::uint32_t address) {
  const std::uint32_t bytes = htonl(address);
  return Address::fromBytes({reinterpret_cast<const char *>(&bytes), sizeof bytes}, 0).literal();
}

} // namespace matrixos::simulated
