/// http/engine/Upstream.h: where requests are sent to, and what can come of it.
#pragma once

#include "HostName.h"
#include "TlsPeer.h"

#include <matrixos/address.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace matrixos::http {

/// From when on nothing may run on an address any more. Any thread sets it, loops read it.
class Retirement {
public:
  /// How often who runs on an address looks, to have seen it within a second. Nobody keeps a list of streams for that:
  /// it would cost every request, and this costs a timer per look and stream.
  static constexpr std::int64_t kLookEveryMs = 800;

  /// On the clock of Loop::nowMs().
  void setAt(std::int64_t ms) noexcept { atMs_.store(ms, std::memory_order_relaxed); }
  std::int64_t atMs() const noexcept { return atMs_.load(std::memory_order_relaxed); }
  bool isDue(std::int64_t nowMs) const noexcept { return nowMs >= atMs(); }
  bool isSet() const noexcept { return atMs() != INT64_MAX; }

private:
  std::atomic<std::int64_t> atMs_{INT64_MAX};
};

/// Where requests can be sent to. Immutable; a stream keeps the one it started with.
struct Upstream {
  struct Candidate {
    Address address; ///< unless it has a name
    /// Names this upstream for the connection pool. Numbers are never used again for another one, so that a port or
    /// address that passed to somebody else never gets bytes of the one before. 0: not pooled.
    std::uint64_t key = 0;
    /// Set by Server::retire(); null: it stays for ever.
    std::shared_ptr<Retirement> retirement{};
    /// Null: TLS is not spoken. Otherwise nothing is sent to who does not prove to be that peer.
    std::shared_ptr<TlsPeer> tls{};
    /// Where to connect to, in place of `address`; all its addresses are tried.
    std::shared_ptr<HostName> host{};
    /// Not null: the later candidates are other ways to this one, and what stands in between might take a request that
    /// it cannot pass on. So they are not tried when this one refuses, nor when it cannot be reached any more after it
    /// could be, which this remembers.
    std::shared_ptr<std::atomic<bool>> reached{};
  };
  std::vector<Candidate> candidates; ///< best first
  bool reuse = true;                 ///< false: "Connection: close" after each request
  /// Whatever its method, a request may be sent twice: when a kept connection closes without a word just as it is used
  /// again. Otherwise only idempotent requests use kept connections. Either way all of the body has to be at hand, as
  /// it is for forwardTaken().
  bool repeatable = false;
};

/// Why a forwarded request brought no answer.
enum class ForwardFailure : std::uint8_t {
  Unreachable, ///< no candidate took a connection; nothing was sent
  ConnectTimeout,
  ClosedEarly, ///< the connection ended before the first byte of a response
  BadResponse, ///< a malformed, ambiguous or incomplete response head
  Timeout,     ///< no response head in time
  Moved,       ///< while a connection was made, Session::isCurrent() became false; nothing was sent
  NameUnknown, ///< the name of the last candidate led nowhere; Summary::reason says why, as it does from here on
  Untrusted,   ///< the TLS handshake failed: the certificate, or something else; nothing was sent
  Declined,    ///< Session::acceptResponse() did not want the answer
};

} // namespace matrixos::http
