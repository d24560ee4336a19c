/// An authority that signs what a test wants, and servers that show it.
#pragma once

#include "Stand.h"

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace stand {

/// What stands in a certificate.
struct CertificateText {
  std::vector<std::string> names{"up.example"}; ///< subjectAltName; "IP:127.0.0.1" for an address
  std::string commonName{};
  long fromDays = -1;
  long toDays = 1;
};

struct Certificate {
  std::shared_ptr<X509> shown;
  std::shared_ptr<EVP_PKEY> key;
};

class Authority {
public:
  Authority();
  Certificate issue(const CertificateText &text = {}) const;
  /// The certificate of the authority in PEM.
  std::string pem() const;

private:
  Certificate own_;
};

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
