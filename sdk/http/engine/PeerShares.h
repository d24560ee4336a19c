/// http/engine/PeerShares.h: how many connections each client has open; internal.
#pragma once

#include <matrixos/address.hpp>

#include <cstddef>
#include <mutex>
#include <unordered_map>

namespace matrixos::http {

/// Of all loops together. An IPv6 client has the whole /64 that it was given (RFC 6177). [any-thread]
class PeerShares {
public:
  /// False, and nothing is counted, when the client has `most` already.
  bool enter(const Address &peer, std::size_t most);
  void leave(const Address &peer) noexcept;
  using Key = Address::Bytes;
  static Key keyOf(const Address &peer) noexcept;
  static bool sameClient(const Address &a, const Address &b) noexcept { return keyOf(a) == keyOf(b); }

private:
  struct Hash {
    std::size_t operator()(const Key &key) const noexcept;
  };

  std::mutex mutex_;
  std::unordered_map<Key, std::size_t, Hash> counts_;
};

} // namespace matrixos::http
