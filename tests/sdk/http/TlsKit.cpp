#include "TlsKit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <csignal>
#include <stdexcept>

namespace stand {

namespace {

constexpr long kDay = 24 * 3600;

std::shared_ptr<EVP_PKEY> makeKey() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

void extend(X509 *certificate, int kind, const std::string &value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  if (extension == nullptr) throw std::runtime_error("extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::shared_ptr<X509> make(EVP_PKEY *key, const std::string &name, long from, long to) {
  static std::atomic<long> serial{0};
  std::shared_ptr<X509> out(X509_new(), X509_free);
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), from * kDay);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), to * kDay);
  X509_set_pubkey(out.get(), key);
  if (!name.empty())
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char *>(name.c_str()), -1, -1, 0);
  return out;
}

std::string joined(const std::vector<std::string> &names) {
  std::string out;
  for (const std::string &name : names)
    out += (out.empty() ? "" : ",") + (name.rfind("IP:", 0) == 0 ? name : "DNS:" + name);
  return out;
}

} // namespace

Authority::Authority() {
  own_.key = makeKey();
  static std::atomic<int> last{0};
  own_.shown = make(own_.key.get(), "Test authority " + std::to_string(++last), -10, 10);
  X509_set_issuer_name(own_.shown.get(), X509_get_subject_name(own_.shown.get()));
  extend(own_.shown.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(own_.shown.get(), own_.key.get(), EVP_sha256());
}

Certificate Authority::issue(const CertificateText &text) const {
  Certificate out;
  out.key = makeKey();
  out.shown = make(out.key.get(), text.commonName, text.fromDays, text.toDays);
  X509_set_issuer_name(out.shown.get(), X509_get_subject_name(own_.shown.get()));
  if (!text.names.empty()) extend(out.shown.get(), NID_subject_alt_name, joined(text.names));
  X509_sign(out.shown.get(), own_.key.get(), EVP_sha256());
  return out;
}

std::string Authority::pem() const {
  const std::unique_ptr<BIO, int (*)(BIO *)> memory(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(memory.get(), own_.shown.get());
  char *text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

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
