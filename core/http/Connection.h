#pragma once

#include "auth/Authenticator.h"
#include "http/RequestHead.h"

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::api {

using Clock = std::chrono::steady_clock;

/// One accepted, non-blocking socket with what was received on it and not consumed yet.
///
/// Owned by one place at a time: the lobby while it waits for a request, a worker while that is answered. Only abort()
/// and peerGone() may be called from another thread, by somebody who knows that the connection still exists.
class Connection {
public:
  enum class Read { Data, End, TimedOut, Aborted };

  /// Takes over the descriptor. `peerUid` comes from SO_PEERCRED; nothing on TCP.
  Connection(int fd, auth::ApiSocket door, bool unixSocket, std::optional<uid_t> peerUid);
  ~Connection();
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  int fd() const { return fd_; }
  auth::ApiSocket door() const { return door_; }
  std::optional<uid_t> peerUid() const { return peerUid_; }

  /// Received bytes that nobody has consumed.
  std::string &input() { return input_; }
  /// The request that was admitted last.
  RequestHead &head() { return head_; }
  /// When its first byte was seen.
  Clock::time_point requestStart = Clock::now();

  /// Appends to input() what is there, without waiting. TimedOut: nothing is there now. End also covers a broken
  /// connection, which for a reader is the same.
  Read receiveNow();
  /// Waits for bytes until `deadline` and appends them to input().
  Read receive(Clock::time_point deadline);

  /// Sends both texts, one after the other; blocks while the peer is slow. False once the peer has gone, has taken
  /// nothing for `patience`, or abort() was called; the connection is then good for nothing but closing.
  bool send(std::string_view first, std::string_view second, std::chrono::milliseconds patience);
  /// Sends what fits without waiting, for short last words to a peer that is not worth a thread.
  void sendNow(std::string_view text) noexcept;
  std::uint64_t bytesSent() const { return bytesSent_; }

  /// Ends all reading and writing, at once, also that which is blocked on another thread.
  void abort() noexcept;
  bool aborted() const noexcept { return aborted_; }
  /// Whether the peer has closed. On TCP a peer that has only finished sending looks the same and counts as gone.
  bool peerGone() const noexcept;

private:
  const int fd_;
  const auth::ApiSocket door_;
  const bool unixSocket_;
  const std::optional<uid_t> peerUid_;
  std::string input_;
  RequestHead head_;
  std::uint64_t bytesSent_ = 0;
  std::atomic<bool> aborted_{false};
};

} // namespace matrixos::api
