#include "TlsPeer.h"

#include "TlsSetup.h"

#include <matrixos/address.hpp>

#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

namespace matrixos::http {

namespace {

std::uint64_t nextId() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// Letters, digits, hyphens and underscores in labels; one dot at the end does not belong to it (RFC 6066 §3).
std::string normalName(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  std::string out(name);
  bool good = !out.empty() && out.size() <= 253 && out.front() != '.';
  for (std::size_t i = 0; i < out.size(); ++i) {
    char &c = out[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    good = good && (letter || (c == '.' && out[i - 1] != '.'));
  }
  if (!good) throw Error(Status::InvalidArgument, "\"" + std::string(name) + "\" is no host name", "TLS");
  return out;
}

} // namespace

std::shared_ptr<TlsClientContext> TlsClientContext::create(const Trust &trust) {
  return std::shared_ptr<TlsClientContext>(new TlsClientContext(trust));
}

TlsClientContext::TlsClientContext(const Trust &trust) : context_(makeTlsContext(TLS_client_method())) {
  SSL_CTX *context = context_.get();
  if (trust.systemRoots && SSL_CTX_set_default_verify_paths(context) != 1)
    throw Error(Status::Internal, "the system's root certificates cannot be read: " + takeTlsError(), "TLS");
  if (!trust.file.empty() && SSL_CTX_load_verify_file(context, trust.file.c_str()) != 1)
    throw Error(Status::InvalidArgument, "cannot use " + trust.file + " for TLS: " + takeTlsError(), "TLS");
  if (!trust.systemRoots && trust.file.empty()) throw Error(Status::InvalidArgument, "no authority is trusted", "TLS");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, kAlpnHttp11, sizeof kAlpnHttp11); // fails only without memory: nothing is offered
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &TlsPeer::keep);
}

std::shared_ptr<TlsPeer> TlsClientContext::peer(std::string_view name) {
  const bool isIp = Address::tryIp(name).has_value();
  std::string normal = isIp ? std::string(name) : normalName(name);
  const std::lock_guard lock(mutex_);
  if (const auto found = peers_.find(normal); found != peers_.end()) {
    if (auto known = found->second.lock()) return known;
  }
  for (auto at = peers_.begin(); at != peers_.end();)
    at = at->second.expired() ? peers_.erase(at) : std::next(at);
  auto made = std::make_shared<TlsPeer>(shared_from_this(), normal, isIp);
  peers_[std::move(normal)] = made;
  return made;
}

void TlsPeer::FreeSession::operator()(ssl_session_st *session) const noexcept {
  SSL_SESSION_free(session);
}

TlsPeer::TlsPeer(std::shared_ptr<TlsClientContext> context, std::string name, bool isIp)
    : context_(std::move(context)), name_(std::move(name)), isIp_(isIp), id_(nextId()) {}

TlsPeer::~TlsPeer() = default;

ssl_st *TlsPeer::open() {
  SSL *ssl = SSL_new(context_->context_.get());
  if (ssl == nullptr) return nullptr;
  X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  // An IP address is no host name, and is not sent as one (RFC 6066 §3).
  const bool named = isIp_ ? X509_VERIFY_PARAM_set1_ip_asc(rules, name_.c_str()) == 1
                           : X509_VERIFY_PARAM_set1_host(rules, name_.data(), name_.size()) == 1 &&
                                 SSL_set_tlsext_host_name(ssl, name_.c_str()) == 1;
  if (!named || SSL_set_app_data(ssl, this) != 1) {
    SSL_free(ssl);
    return nullptr;
  }
  SSL_set_connect_state(ssl);
  const std::lock_guard lock(mutex_);
  if (!sessions_.empty()) {
    SSL_set_session(ssl, sessions_.back().get()); // if that fails, the handshake is a whole one
    // Using a ticket twice would let an onlooker tell that both are of one client (RFC 8446 appendix C.4).
    if (SSL_SESSION_get_protocol_version(sessions_.back().get()) >= TLS1_3_VERSION) sessions_.pop_back();
  }
  return ssl;
}

void TlsPeer::completed(ssl_st *ssl) noexcept {
  handshakes_.fetch_add(1, std::memory_order_relaxed);
  if (SSL_session_reused(ssl) == 1) resumptions_.fetch_add(1, std::memory_order_relaxed);
}

void TlsPeer::failed() noexcept {
  // Should a session have been the reason, the next handshake does without.
  const std::lock_guard lock(mutex_);
  sessions_.clear();
}

int TlsPeer::keep(ssl_st *ssl, ssl_session_st *session) noexcept {
  auto *peer = static_cast<TlsPeer *>(SSL_get_app_data(ssl));
  try {
    const std::lock_guard lock(peer->mutex_);
    if (peer->sessions_.size() == kMostSessions) peer->sessions_.erase(peer->sessions_.begin());
    peer->sessions_.reserve(kMostSessions);
    peer->sessions_.emplace_back(session);
    return 1; // the reference is ours now
  } catch (const std::bad_alloc &) {
    return 0;
  }
}

} // namespace matrixos::http
