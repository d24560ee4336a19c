#pragma once

#include "Surroundings.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::lifecycle {

/// One try to get an HTTP answer: connects, sends `GET /`, and reads as far as the status code. Never blocks.
///
/// Only the status line counts (RFC 9112 §4): a peer that accepts and closes, as a userland proxy does before the
/// instance listens, or that talks something else, is not ready.
class ProbeAttempt {
public:
  enum class Progress { Pending, Ready, Failed };

  ProbeAttempt() = default;
  ProbeAttempt(const ProbeAttempt &) = delete;
  ProbeAttempt &operator=(const ProbeAttempt &) = delete;
  ~ProbeAttempt() { close(); }

  /// Begins to connect. Failed when the address is no IP literal or the kernel refuses at once.
  Progress open(const Target &target);
  /// Goes on after the socket became ready.
  Progress advance();
  void close() noexcept;

  int fd() const noexcept { return fd_; } ///< -1: none
  /// Whether it waits to write; else to read.
  bool wantsWrite() const noexcept { return stage_ != Stage::Reading; }
  bool connected() const noexcept { return stage_ != Stage::Connecting; }

private:
  enum class Stage { Connecting, Sending, Reading };

  Progress send();
  Progress receive();

  int fd_ = -1;
  Stage stage_ = Stage::Connecting;
  std::string request_;
  std::string answer_;
};

/// What an answer so far says: Ready once it begins with a status line, Failed once it cannot. The line is judged as
/// the proxy will judge it.
ProbeAttempt::Progress judgeStatusLine(std::string_view answer);

} // namespace matrixos::lifecycle
