/// http/engine/UpstreamPool.h: idle connections to upstreams, of one loop.
#pragma once

#include "Socket.h"
#include "Timers.h"
#include "Upstream.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace matrixos::http {

/// What two requests have to have in common to share a connection.
struct PoolKey {
  std::uint64_t upstream = 0; ///< Upstream::Candidate::key
  std::uint64_t place = 0;    ///< HostAnswer::Place::id, for a name
  std::uint64_t peer = 0;     ///< TlsPeer::id(), where TLS is spoken

  bool operator==(const PoolKey &) const = default;
};

struct PoolKeyHash {
  std::size_t operator()(const PoolKey &key) const noexcept {
    return key.upstream ^ (key.place * 0x9e3779b97f4a7c15U) ^ (key.peer * 0xc2b2ae3d27d4eb4fU);
  }
};

/// Keeps connections for the next request to the same upstream, the youngest first. Each is watched: one that the
/// upstream closes, or says anything on unasked, is thrown away at once.
class UpstreamPool {
public:
  explicit UpstreamPool(Loop &loop);
  ~UpstreamPool();

  /// A connection of that key, or null. A key must never be given to two upstreams in the life of the process.
  std::shared_ptr<Socket> take(const PoolKey &key);
  /// Upstream 0 is never pooled: the socket is closed.
  void put(const PoolKey &key, std::shared_ptr<Socket> socket);
  /// Closes the idle connections of that upstream, wherever they lead.
  void drop(const Upstream::Candidate &gone) noexcept;
  void clear() noexcept;
  std::size_t size() const noexcept { return size_; }

private:
  class Idle;
  void sweep();
  void remove(Idle &idle);
  void discard(std::vector<std::unique_ptr<Idle>> &list) noexcept;
  void giveBack(std::unique_ptr<Idle> idle);

  Loop &loop_;
  static constexpr std::size_t kLeastSweep = 64;

  std::size_t size_ = 0;
  std::size_t sweepAt_ = kLeastSweep; // entries of byKey_
  std::unordered_map<PoolKey, std::vector<std::unique_ptr<Idle>>, PoolKeyHash> byKey_;
  std::vector<std::unique_ptr<Idle>> spare_; // to be used again
};

} // namespace matrixos::http
