/// http/engine/Socket.h: a non-blocking stream socket on a loop.
#pragma once

#include "Reactor.h"
#include "Tls.h"

#include <matrixos/address.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace matrixos::http {

class Loop;
struct PeerProcess;

/// Who uses a socket now.
class SocketEvents {
public:
  virtual void onReadable() = 0;
  virtual void onWritable() = 0;

protected:
  ~SocketEvents() = default;
};

/// Result of one attempt to read or write.
struct Io {
  enum class Kind : std::uint8_t { Bytes, WouldBlock, End, Failed };
  Kind kind = Kind::WouldBlock;
  std::size_t bytes = 0;
  int error = 0; ///< errno, for Failed
};

/// Owns a descriptor. The user is notified through waitReadable() and waitWritable(), once per call; the wait outlives
/// a change of user, so that a socket can pass from a pool to a request without a system call. One thread: the loop's.
class Socket final : public Pollable, public std::enable_shared_from_this<Socket> {
public:
  /// Takes over a connected descriptor; with a context it speaks TLS as a server. Throws std::system_error.
  static std::shared_ptr<Socket> adopt(Loop &loop, int fd, const TlsContext *tls = nullptr);
  /// Begins to connect; onWritable() follows, then finishConnect() says how it went. Throws std::system_error when
  /// not even that is possible.
  static std::shared_ptr<Socket> connect(Loop &loop, const Address &to);

  ~Socket();
  Socket(const Socket &) = delete;
  Socket &operator=(const Socket &) = delete;

  /// Null: nobody is notified.
  void setUser(SocketEvents *user) noexcept { user_ = user; }
  void waitReadable();
  void waitWritable();
  /// For who cannot read now: onReadable() once the peer has ended its side, whatever is left to be read before that.
  void waitEnd();
  /// The peer has ended its side, or the connection has failed; what came before may be unread.
  bool ended() const noexcept { return ended_; }
  /// There may be something to read: what was there has not been exhausted yet, or more has come.
  bool mayRead() const noexcept { return readable_; }

  Io read(char *to, std::size_t size) noexcept;
  /// Neither a byte nor the end has come, as the kernel says now, whatever events still wait; a byte is lost.
  bool isSilent() noexcept;
  /// Looks at bytes that come before the TLS handshake, and leaves them where they are; waitReadable() then waits for
  /// more of them.
  Io peek(char *to, std::size_t size) noexcept;
  /// Takes so many of them away; the handshake follows.
  void skip(std::size_t size) noexcept;
  Io write(const iovec *parts, int count) noexcept;
  /// 0, or the errno of a failed connect.
  int finishConnect() noexcept;
  /// From now on it speaks TLS, as the client of that server. Throws matrixos::Error.
  void startTls(std::shared_ptr<TlsPeer> peer);
  /// Goes on with the handshake that startTls() asked for. Bytes: it is complete. WouldBlock: again when readable.
  Io handshake() noexcept;
  /// Why it failed; static text.
  const char *tlsFailure() const noexcept { return tls_->failure(); }
  void shutdownWrite() noexcept;
  bool isOpen() const noexcept { return open_; }
  /// See ClientExchange::peerProcess().
  std::optional<PeerProcess> peerProcess() const noexcept;
  bool isEncrypted() const noexcept { return tls_ != nullptr; }
  /// True unless a TLS handshake is still to be completed.
  bool established() const noexcept { return !tls_ || tls_->established(); }
  /// Ends all waits without a notification.
  void close() noexcept;
  /// Makes close() send a reset: the peer must not take what it got for complete.
  void resetOnClose() noexcept;

  void onEvents(unsigned events) override;

private:
  Socket(Loop &loop, int fd, bool connected);
  Io readEncrypted(char *to, std::size_t size) noexcept;
  Io writeEncrypted(const iovec *parts, int count) noexcept;

  Loop &loop_;
  SocketEvents *user_ = nullptr;
  std::unique_ptr<TlsStream> tls_;
  int fd_ = -1;
  bool open_ = true;
  bool readable_ = false;
  bool writable_ = true;
  bool ended_ = false; // the end, or a failure, stands behind what can be read
  bool readWait_ = false;
  bool writeWait_ = false;
  bool endWait_ = false;
  bool reset_ = false;
};

} // namespace matrixos::http
