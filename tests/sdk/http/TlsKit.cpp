#include "TlsKit.h"

#include <csignal>

namespace stand {

TlsUpstream::TlsUpstream(const Certificate &certificate, Script script, const std::function<void(SSL_CTX *)> &change)
    : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free), script_(std::move(script)),
      peer_([this](int fd) { run(fd); }) {
  SSL_CTX_use_certificate(context_.get(), certificate.shown.get());
  SSL_CTX_use_PrivateKey(context_.get(), certificate.key.get());
  SSL_CTX_set_session_id_context(context_.get(), reinterpret_cast<const unsigned char *>("test"), 4);
  SSL_CTX_set_alpn_select_cb(
      context_.get(),
      [](SSL *, const unsigned char **out, unsigned char *outSize, const unsigned char *in, unsigned inSize, void *) {
        if (inSize < 1 || in[0] >= inSize) return SSL_TLSEXT_ERR_NOACK;
        *out = in + 1; // the first that is offered
        *outSize = in[0];
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  if (change) change(context_.get());
}

void TlsUpstream::run(int fd) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  const std::unique_ptr<SSL, void (*)(SSL *)> ssl(SSL_new(context_.get()), SSL_free);
  SSL_set_fd(ssl.get(), fd);
  if (SSL_accept(ssl.get()) != 1) return;
  ++handshakes_;
  if (SSL_session_reused(ssl.get()) == 1) ++resumed_;
  {
    const std::lock_guard lock(mutex_);
    const char *name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    name_ = name != nullptr ? name : "";
    const unsigned char *protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl.get(), &protocol, &size);
    protocol_.assign(reinterpret_cast<const char *>(protocol), size);
  }
  script_(ssl.get());
}

std::string TlsUpstream::lastName() const {
  const std::lock_guard lock(mutex_);
  return name_;
}

std::string TlsUpstream::lastProtocol() const {
  const std::lock_guard lock(mutex_);
  return protocol_;
}

std::string readHead(SSL *ssl) {
  std::string head;
  char byte = 0;
  while (head.size() < 4 || head.compare(head.size() - 4, 4, "\r\n\r\n") != 0) {
    if (SSL_read(ssl, &byte, 1) != 1) return {};
    head += byte;
  }
  return head;
}

void sendAll(SSL *ssl, std::string_view bytes) {
  std::size_t put = 0;
  while (!bytes.empty() && SSL_write_ex(ssl, bytes.data(), bytes.size(), &put) == 1)
    bytes.remove_prefix(put);
}

void serve(SSL *ssl, const std::string &body) {
  while (!readHead(ssl).empty())
    sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  SSL_shutdown(ssl);
}

} // namespace stand
