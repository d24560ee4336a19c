#include "Owners.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

namespace matrixos::gateway {

bool Owner::mayCallFrom(const Address &peer) const {
  return !bound || std::find(addresses.begin(), addresses.end(), peer.ip()) != addresses.end();
}

std::size_t OwnerCache::Front::operator()(const Hash &hash) const noexcept {
  std::size_t out = 0;
  std::memcpy(&out, hash.data(), sizeof out);
  return out;
}

std::shared_ptr<const Owner> OwnerCache::find(std::string_view token, std::int64_t nowMs) {
  Hash hash;
  ::SHA256(reinterpret_cast<const unsigned char *>(token.data()), token.size(), hash.data());
  const auto known = entries_.find(hash);
  if (known != entries_.end() && nowMs - known->second.atMs < kMostAgeMs) return known->second.owner;
  auto owner = find_(token);
  if (!owner) {
    if (known != entries_.end()) entries_.erase(known);
    return nullptr; // not kept: who guesses fills no memory, and a new token counts at once
  }
  if (entries_.size() >= kMost) entries_.clear();
  auto shared = std::make_shared<const Owner>(std::move(*owner));
  if (shared->bound && shared->addresses.empty()) return shared; // not kept: it is about to have some
  entries_.insert_or_assign(hash, Entry{shared, nowMs});
  return shared;
}

} // namespace matrixos::gateway
