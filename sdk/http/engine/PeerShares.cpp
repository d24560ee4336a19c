#include "PeerShares.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

namespace matrixos::http {

bool PeerShares::enter(const Address &peer, std::size_t most) {
  const std::lock_guard lock(mutex_);
  std::size_t &count = counts_[keyOf(peer)];
  if (count >= most) return false;
  ++count;
  return true;
}

void PeerShares::leave(const Address &peer) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(keyOf(peer));
  if (found != counts_.end() && --found->second == 0) counts_.erase(found);
}

PeerShares::Key PeerShares::keyOf(const Address &peer) noexcept {
  constexpr std::ptrdiff_t kNetwork = 8; // bytes
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  Key key = peer.bytes();
  if (!std::equal(kMapped.begin(), kMapped.end(), key.begin())) std::fill(key.begin() + kNetwork, key.end(), 0);
  return key;
}

std::size_t PeerShares::Hash::operator()(const Key &key) const noexcept {
  return std::hash<std::string_view>()({reinterpret_cast<const char *>(key.data()), key.size()});
}

} // namespace matrixos::http
