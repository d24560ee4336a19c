/// A TLS server that does what a test tells it to.
#pragma once

#include "Authority.h"
#include "Stand.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace stand {

/// A TLS server with that certificate. The script runs after the handshake; what fails before ends the connection.
class TlsUpstream {
public:
  using Script = std::function<void(SSL *)>;
  TlsUpstream(const Certificate &certificate, Script script, const std::function<void(SSL_CTX *)> &change = {});

  std::uint16_t port() const noexcept { return peer_.port(); }
  int accepted() const noexcept { return peer_.accepted(); }
  int handshakes() const noexcept { return handshakes_; }
  int resumed() const noexcept { return resumed_; }
  std::string lastName() const;
  std::string lastProtocol() const;

private:
  void run(int fd);

  std::shared_ptr<SSL_CTX> context_;
  Script script_;
  std::atomic<int> handshakes_{0};
  std::atomic<int> resumed_{0};
  mutable std::mutex mutex_;
  std::string name_, protocol_;
  Peer peer_; // last: its thread uses the rest
};

std::string readHead(SSL *ssl);
void sendAll(SSL *ssl, std::string_view bytes);
/// As for plain connections.
void serve(SSL *ssl, const std::string &body);

} // namespace stand
