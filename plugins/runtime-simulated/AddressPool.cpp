#include "AddressPool.h"

#include <matrixos/status.hpp>

#include <arpa/inet.h>

#include <charconv>

namespace matrixos::simulated {

AddressPool::AddressPool(std::string_view network) : network_(network) {
  const std::size_t slash = network_.find('/');
  in_addr base{};
  unsigned bits = 0;
  const std::string digits = slash == std::string::npos ? "" : network_.substr(slash + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const bool number = failure == std::errc{} && end == digits.data() + digits.size() && bits >= 8 && bits <= 30;
  if (!number || ::inet_pton(AF_INET, network_.substr(0, slash).c_str(), &base) != 1) {
    throw Error(Status::InvalidArgument,
                "[runtime-simulated] addresses is \"" + network_ +
                    "\"; write an IPv4 network with 8 to 30 bits, like 198.18.0.0/15",
                "BAD_CONFIG");
  }
  const std::uint32_t size = 1U << (32U - bits);
  first_ = (ntohl(base.s_addr) & ~(size - 1)) + 1;
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

void AddressPool::give(std::uint32_t address) noexcept {
  if (address - first_ < used_.size()) used_[address - first_] = false;
}

void AddressPool::mark(std::uint32_t address) noexcept {
  if (address - first_ >= used_.size()) return;
  used_[address - first_] = true;
  next_ = (address - first_ + 1) % used_.size();
}

std::string AddressPool::text(std::uint32_t address) {
  std::string out;
  for (unsigned shift = 32; shift > 0; shift -= 8)
    out += (out.empty() ? "" : ".") + std::to_string((address >> (shift - 8)) & 255U);
  return out;
}

} // namespace matrixos::simulated
