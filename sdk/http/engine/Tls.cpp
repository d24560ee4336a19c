#include "Tls.h"

#include "TlsPeer.h"
#include "TlsSetup.h"

#include <matrixos/status.hpp>

#include <openssl/err.h>

#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

namespace matrixos::http {

namespace {

/// HTTP/1.1 is all that is spoken here; a client that offers only others goes on without an agreement.
int chooseProtocol(SSL *, const unsigned char **out, unsigned char *outSize, const unsigned char *in, unsigned inSize,
                   void *) {
  unsigned char *chosen = nullptr;
  if (SSL_select_next_proto(&chosen, outSize, kAlpnHttp11, sizeof kAlpnHttp11, in, inSize) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/// What is wrong with a server's certificate.
const char *distrustOf(long code) noexcept {
  switch (code) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "the upstream's certificate has expired";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "the upstream's certificate is not valid yet";
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "the upstream's certificate is for another name";
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    return "the upstream's certificate has an unknown issuer";
  default:
    return "the upstream's certificate is not trusted";
  }
}

} // namespace

std::string takeTlsError() {
  const unsigned long code = ERR_peek_error();
  const char *reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "unknown error";
  if (ERR_SYSTEM_ERROR(code)) text = std::strerror(static_cast<int>(ERR_GET_REASON(code)));
  ERR_clear_error();
  return text;
}

std::shared_ptr<SSL_CTX> makeTlsContext(const SSL_METHOD *method) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> made(SSL_CTX_new(method), SSL_CTX_free);
  if (!made) throw Error(Status::Internal, "TLS cannot be set up: " + takeTlsError(), "TLS");
  SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(made.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // No buffers while a connection is idle; a write may be repeated from another place in memory.
  SSL_CTX_set_mode(made.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One system call for all records that are there, instead of two for each.
  SSL_CTX_set_read_ahead(made.get(), 1);
  return made;
}

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
  std::shared_ptr<SSL_CTX> made = makeTlsContext(TLS_server_method());
  SSL_CTX_set_options(made.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(made.get(), chooseProtocol, nullptr);
  const auto refuse = [](const std::string &file) {
    throw Error(Status::InvalidArgument, "cannot use " + file + " for TLS: " + takeTlsError(), "TLS");
  };
  if (SSL_CTX_use_certificate_chain_file(made.get(), certificateFile_.c_str()) != 1) refuse(certificateFile_);
  if (SSL_CTX_use_PrivateKey_file(made.get(), keyFile_.c_str(), SSL_FILETYPE_PEM) != 1) refuse(keyFile_);
  if (SSL_CTX_check_private_key(made.get()) != 1) refuse(keyFile_);
  const std::lock_guard lock(mutex_);
  context_ = std::move(made);
}

std::int64_t TlsContext::expiresAt() const {
  const X509 *certificate = SSL_CTX_get0_certificate(current().get());
  std::tm time{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return ::timegm(&time);
}

std::shared_ptr<ssl_ctx_st> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

TlsStream::TlsStream(const TlsContext &context, int fd) : ssl_(SSL_new(context.current().get())) {
  attach(fd);
  SSL_set_accept_state(ssl_);
}

TlsStream::TlsStream(std::shared_ptr<TlsPeer> peer, int fd) : peer_(std::move(peer)), ssl_(peer_->open()) {
  attach(fd);
}

void TlsStream::attach(int fd) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, fd) != 1) {
    SSL_free(ssl_);
    throw Error(Status::ResourceExhausted, "no memory for a TLS connection", "TLS");
  }
  BIO *bio = SSL_get_rbio(ssl_);
  BIO_set_callback_ex(bio, &TlsStream::onRead);
  BIO_set_callback_arg(bio, reinterpret_cast<char *>(this));
}

/// Before and after each read from the socket: what gave less than there was room for has no more until the next event
/// (epoll(7), edge-triggered), and is not asked in vain.
long TlsStream::onRead(BIO *bio, int step, const char *, std::size_t room, int, long, int result,
                       std::size_t *got) noexcept {
  TlsStream &self = *reinterpret_cast<TlsStream *>(BIO_get_callback_arg(bio));
  if (step == BIO_CB_READ && self.drained_) {
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
    return -1;
  }
  if (step == (BIO_CB_READ | BIO_CB_RETURN) && !self.ended_)
    self.drained_ = result > 0 ? *got < room : BIO_should_retry(bio) != 0;
  return result;
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

TlsStream::Result TlsStream::handshake() noexcept {
  ERR_clear_error();
  const int code = SSL_do_handshake(ssl_);
  if (code == 1) {
    const unsigned char *protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &protocol, &size);
    const std::string_view ours(reinterpret_cast<const char *>(kAlpnHttp11) + 1, sizeof kAlpnHttp11 - 1);
    if (size != 0 && std::string_view(reinterpret_cast<const char *>(protocol), size) != ours) {
      failure_ = "the upstream insists on a protocol that was not offered";
      return Result::Failed;
    }
    peer_->completed(ssl_);
    return Result::Bytes;
  }
  const char *reason = reasonOf(code);
  const Result result = resultOf(code);
  if (result == Result::WantMore) return result;
  failure_ = reason;
  peer_->failed();
  return Result::Failed;
}

/// Of a failed handshake; the queue of errors stays as it is.
const char *TlsStream::reasonOf(int code) const noexcept {
  if (const long verdict = SSL_get_verify_result(ssl_); verdict != X509_V_OK) return distrustOf(verdict);
  const int kind = SSL_get_error(ssl_, code);
  const unsigned long error = ERR_peek_error();
  if (kind == SSL_ERROR_SYSCALL || kind == SSL_ERROR_ZERO_RETURN) {
    return "the upstream closed its connection inside the TLS handshake";
  }
  switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
  case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    return "the upstream closed its connection inside the TLS handshake";
  case SSL_R_WRONG_VERSION_NUMBER:
    return "the upstream does not speak TLS";
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    return "the upstream speaks no version of TLS from 1.2 on";
  default:
    return "the TLS handshake with the upstream failed";
  }
}

TlsStream::Result TlsStream::read(char *to, std::size_t size, std::size_t &got) noexcept {
  ERR_clear_error();
  const int code = SSL_read_ex(ssl_, to, size, &got);
  return code == 1 ? Result::Bytes : resultOf(code);
}

bool TlsStream::exhausted() const noexcept {
  return drained_ && SSL_has_pending(ssl_) == 0;
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
