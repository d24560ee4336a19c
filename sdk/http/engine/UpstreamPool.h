/// http/engine/UpstreamPool.h: idle connections to upstreams, of one loop.
#pragma once

#include "Socket.h"
#include "Timers.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace matrixos::http {

/// Keeps connections for the next request to the same upstream, the youngest first. Each is watched: one that the
/// upstream closes, or says anything on unasked, is thrown away at once.
class UpstreamPool {
public:
  explicit UpstreamPool(Loop &loop);
  ~UpstreamPool();

  /// A connection of that key, or null. `key` must never be given to two upstreams in the life of the process.
  std::shared_ptr<Socket> take(std::uint64_t key);
  /// Key 0 is never pooled: the socket is closed.
  void put(std::uint64_t key, std::shared_ptr<Socket> socket);
  /// Closes the idle connections of that key.
  void drop(std::uint64_t key) noexcept;
  void clear() noexcept;
  std::size_t size() const noexcept { return size_; }

private:
  class Idle;
  void remove(Idle &idle);
  void giveBack(std::unique_ptr<Idle> idle);

  Loop &loop_;
  std::size_t size_ = 0;
  std::unordered_map<std::uint64_t, std::vector<std::unique_ptr<Idle>>> byKey_;
  std::vector<std::unique_ptr<Idle>> spare_; // to be used again
};

} // namespace matrixos::http
