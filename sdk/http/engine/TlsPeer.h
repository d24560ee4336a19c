/// http/engine/TlsPeer.h: TLS to upstreams: the trusted authorities, and a server that has to prove its name.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace matrixos::http {

class TlsPeer;

/// The authorities that are believed. Thread-safe; one serves any number of upstreams.
class TlsClientContext : public std::enable_shared_from_this<TlsClientContext> {
public:
  /// At least one of the two.
  struct Trust {
    bool systemRoots = true;
    std::string file{}; ///< PEM certificates that are believed as well
  };
  /// Throws matrixos::Error that names the file and the reason.
  static std::shared_ptr<TlsClientContext> create(const Trust &trust);

  /// The server that has to prove to be `name`: a host name in its ASCII form, or an IP address. The same name gives
  /// the same object as long as somebody holds it. Throws matrixos::Error(InvalidArgument).
  std::shared_ptr<TlsPeer> peer(std::string_view name);

private:
  friend class TlsPeer;
  explicit TlsClientContext(const Trust &trust);

  std::shared_ptr<ssl_ctx_st> context_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<TlsPeer>, std::less<>> peers_;
};

/// A server with a name. It has to show a certificate for that name (RFC 9525: subjectAltName only, a wildcard is a
/// whole label) which leads to a trusted authority. Keeps a few sessions so that most handshakes are short.
/// Thread-safe.
class TlsPeer {
public:
  TlsPeer(std::shared_ptr<TlsClientContext> context, std::string name, bool isIp);
  ~TlsPeer();

  const std::string &name() const noexcept { return name_; }
  /// Never 0, and never given to another peer.
  std::uint64_t id() const noexcept { return id_; }
  /// Completed handshakes, and how many of them went on with a session of an earlier one.
  std::uint64_t handshakes() const noexcept { return handshakes_.load(std::memory_order_relaxed); }
  std::uint64_t resumptions() const noexcept { return resumptions_.load(std::memory_order_relaxed); }

private:
  friend class TlsClientContext;
  friend class TlsStream;
  static constexpr std::size_t kMostSessions = 8;
  struct FreeSession {
    void operator()(ssl_session_st *session) const noexcept;
  };

  /// A new client side that will ask for this name, or null.
  ssl_st *open();
  void completed(ssl_st *ssl) noexcept;
  void failed() noexcept;
  static int keep(ssl_st *ssl, ssl_session_st *session) noexcept;

  const std::shared_ptr<TlsClientContext> context_;
  const std::string name_;
  const bool isIp_;
  const std::uint64_t id_;
  std::atomic<std::uint64_t> handshakes_{0};
  std::atomic<std::uint64_t> resumptions_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<ssl_session_st, FreeSession>> sessions_; // the youngest last
};

} // namespace matrixos::http
