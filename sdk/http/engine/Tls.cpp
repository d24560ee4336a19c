#include "Tls.h"

#include <matrixos/status.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>

namespace matrixos::http {

namespace {

std::string firstError() {
  const unsigned long code = ERR_peek_error();
  const char *reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "unknown error";
  if (ERR_SYSTEM_ERROR(code)) text = std::strerror(static_cast<int>(ERR_GET_REASON(code)));
  ERR_clear_error();
  return text;
}

/// HTTP/1.1 is all that is spoken here; a client that offers only others goes on without an agreement.
int chooseProtocol(SSL *, const unsigned char **out, unsigned char *outSize, const unsigned char *in, unsigned inSize,
                   void *) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char *chosen = nullptr;
  if (SSL_select_next_proto(&chosen, outSize, kOurs, sizeof kOurs - 1, in, inSize) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

} // namespace

TlsContext::TlsContext(std::string certificateFile, std::string keyFile)
    : certificateFile_(std::move(certificateFile)), keyFile_(std::move(keyFile)) {
  refresh();
}

TlsContext::Stamp TlsContext::stamp() const noexcept {
  std::error_code missing; // opening it will say what is wrong
  return {std::filesystem::last_write_time(certificateFile_, missing),
          std::filesystem::last_write_time(keyFile_, missing)};
}

bool TlsContext::refresh() {
  const Stamp now = stamp();
  if (context_ && now == loaded_) return false;
  load();
  loaded_ = now;
  return true;
}

void TlsContext::load() {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!made) throw Error(Status::Internal, "TLS cannot be set up: " + firstError(), "TLS");
  SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(made.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // No buffers while a connection is idle; a write may be repeated from another place in memory.
  SSL_CTX_set_mode(made.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(made.get(), chooseProtocol, nullptr);
  const auto refuse = [](const std::string &file) {
    throw Error(Status::InvalidArgument, "cannot use " + file + " for TLS: " + firstError(), "TLS");
  };
  if (SSL_CTX_use_certificate_chain_file(made.get(), certificateFile_.c_str()) != 1) refuse(certificateFile_);
  if (SSL_CTX_use_PrivateKey_file(made.get(), keyFile_.c_str(), SSL_FILETYPE_PEM) != 1) refuse(keyFile_);
  if (SSL_CTX_check_private_key(made.get()) != 1) refuse(keyFile_);
  const std::lock_guard lock(mutex_);
  context_ = std::move(made);
}

std::shared_ptr<ssl_ctx_st> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

TlsStream::TlsStream(const TlsContext &context, int fd) : ssl_(SSL_new(context.current().get())) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, fd) != 1) {
    SSL_free(ssl_);
    throw Error(Status::ResourceExhausted, "no memory for a TLS connection", "TLS");
  }
  SSL_set_accept_state(ssl_);
}

TlsStream::~TlsStream() {
  SSL_free(ssl_);
}

bool TlsStream::established() const noexcept {
  return SSL_is_init_finished(ssl_) == 1;
}

TlsStream::Result TlsStream::resultOf(int code) noexcept {
  switch (SSL_get_error(ssl_, code)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return Result::WantMore;
  case SSL_ERROR_ZERO_RETURN:
    return Result::End;
  default:
    ERR_clear_error();
    return Result::Failed;
  }
}

TlsStream::Result TlsStream::read(char *to, std::size_t size, std::size_t &got) noexcept {
  ERR_clear_error();
  const int code = SSL_read_ex(ssl_, to, size, &got);
  return code == 1 ? Result::Bytes : resultOf(code);
}

TlsStream::Result TlsStream::write(const char *from, std::size_t size, std::size_t &put) noexcept {
  ERR_clear_error();
  const int code = SSL_write_ex(ssl_, from, size, &put);
  return code == 1 ? Result::Bytes : resultOf(code);
}

void TlsStream::finish() noexcept {
  if (!established()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

} // namespace matrixos::http
