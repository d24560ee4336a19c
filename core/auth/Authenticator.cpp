#include "auth/Authenticator.h"

#include <matrixos/abi/host.h>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::auth {

namespace {

constexpr std::string_view kHowTo = "send the platform secret as \"Authorization: Bearer <secret>\"; the daemon keeps "
                                    "it in platform.secret_file, or in "
                                    "admin.secret of its data directory";

/// The token of "Bearer <token>" (RFC 6750 §2.1); nothing for any other scheme.
std::optional<std::string_view> bearerToken(std::string_view value) {
  constexpr std::string_view kScheme = "bearer";
  if (value.size() <= kScheme.size() || value[kScheme.size()] != ' ') return std::nullopt;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if ((static_cast<unsigned char>(value[i]) | 0x20U) != static_cast<unsigned char>(kScheme[i])) return std::nullopt;
  }
  value.remove_prefix(kScheme.size());
  while (!value.empty() && value.front() == ' ')
    value.remove_prefix(1);
  return value;
}

Decision refuse(int status, std::string message, std::string reason) {
  Decision decision;
  decision.status = status;
  decision.message = std::move(message);
  decision.reason = std::move(reason);
  return decision;
}

Decision allow(Identity who) {
  Decision decision;
  decision.who = std::move(who);
  return decision;
}

/// May do everything.
Identity operatorOf(std::string id) {
  Identity who;
  who.kind = id.empty() ? Identity::Kind::Unknown : Identity::Kind::Operator;
  who.id = std::move(id);
  who.scopes = "*";
  return who;
}

/// Reads the metrics, and is nobody else.
Identity reader() {
  Identity who;
  who.id = "metrics";
  return who;
}

} // namespace

bool equalInConstantTime(std::string_view left, std::string_view right) noexcept {
  volatile unsigned char difference = left.size() == right.size() ? 0 : 1;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const char other = right.empty() ? '\0' : right[i % right.size()];
    difference = static_cast<unsigned char>(difference |
                                            (static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(other)));
  }
  return difference == 0;
}

Authenticator::Authenticator(Options options)
    : secret_(std::move(options.secret)), metricsToken_(std::move(options.metricsToken)), options_(std::move(options)) {
}

Decision Authenticator::check(std::string_view permission, const Credentials &credentials) const {
  const Proof proof = proofOf(credentials);
  const bool trustedPeer = credentials.socket == ApiSocket::Admin && credentials.peerUid &&
                           (*credentials.peerUid == 0 || *credentials.peerUid == options_.ownUid);
  std::string principal;
  if (proof == Proof::Right)
    principal = "admin";
  else if (trustedPeer)
    principal = "uid:" + std::to_string(*credentials.peerUid);

  Decision decision = decide(permission, credentials, proof, principal);
  decision.isPlatform = !principal.empty();
  return decision;
}

Decision Authenticator::decide(std::string_view permission, const Credentials &credentials, Proof proof,
                               const std::string &principal) const {
  if (permission == MOS_PERMISSION_PUBLIC) return allow(operatorOf(principal));
  const bool metrics = permission == kMetricsPermission;
  if (metrics && proof == Proof::Metrics) return allow(reader());
  if (!metrics && !isPermission(permission))
    return refuse(403, "this route asks for a permission that the platform does not know", "UNKNOWN_PERMISSION");
  const bool instances = permission == MOS_PERMISSION_INSTANCE;
  if (!principal.empty() && !instances) return allow(operatorOf(principal));
  Decision decision = refuseStranger(credentials, proof, instances);
  decision.isOpen = !decision.allowed() && !metrics && credentials.socket == ApiSocket::Api && proof != Proof::Right;
  return decision;
}

Decision Authenticator::refuseStranger(const Credentials &credentials, Proof proof, bool instances) const {
  if (instances && (proof == Proof::Right || credentials.socket == ApiSocket::Admin))
    return refuse(403, "this route is for instances, by their tokens", "INSTANCES_ONLY");
  // The token of the metrics opens nothing else.
  const bool wrong = proof == Proof::Wrong || proof == Proof::Metrics;
  if (credentials.socket == ApiSocket::Admin) {
    Decision decision =
        refuse(403, "the admin socket serves root and the daemon's own user only; run the command as one of them",
               "WRONG_PEER");
    decision.wrongToken = wrong;
    return decision;
  }
  if (options_.open && !instances) return allow(operatorOf("anonymous"));
  if (wrong) {
    Decision decision = refuse(401, "the secret is wrong; " + std::string(kHowTo), "WRONG_SECRET");
    decision.wrongToken = true;
    return decision;
  }
  return refuse(401, "authentication is required; " + std::string(kHowTo), "AUTHENTICATION_REQUIRED");
}

Decision Authenticator::judge(std::string_view permission, const Identity &identity, Decision before) {
  switch (identity.kind) {
  case Identity::Kind::Unknown:
  case Identity::Kind::Signed: // by a provider that has the body, and so says nothing
    return before;
  case Identity::Kind::Refused: {
    constexpr std::array kStatuses{403, 409, 429, 503};
    const bool known = std::find(kStatuses.begin(), kStatuses.end(), identity.status) != kStatuses.end();
    return refuse(known ? identity.status : 401,
                  identity.message.empty() ? "these credentials are no good" : identity.message,
                  !identity.reason.empty() ? identity.reason
                  : identity.status == 503 ? "IDENTITY_UNAVAILABLE"
                                           : "CREDENTIALS_REFUSED");
  }
  case Identity::Kind::User:
  case Identity::Kind::Operator:
  case Identity::Kind::Instance:
    break;
  }
  if (permits(permission, identity)) return allow(identity);
  Decision decision = refuse(403, "you may not do this; it takes: " + std::string(permission), "FORBIDDEN");
  decision.who = identity;
  return decision;
}

Authenticator::Proof Authenticator::proofOf(const Credentials &credentials) const {
  if (credentials.authorization.empty()) return Proof::None;
  if (credentials.authorization.size() > 1) return Proof::Wrong;
  const auto token = bearerToken(credentials.authorization.front());
  const std::shared_lock lock(secretMutex_);
  if (!token) return Proof::Wrong;
  if (!secret_.empty() && equalInConstantTime(*token, secret_)) return Proof::Right;
  return !metricsToken_.empty() && equalInConstantTime(*token, metricsToken_) ? Proof::Metrics : Proof::Wrong;
}

bool Authenticator::replaceSecret(const std::string &secret) {
  return replace(secret_, secret);
}

bool Authenticator::replaceMetricsToken(const std::string &token) {
  return replace(metricsToken_, token);
}

bool Authenticator::replace(std::string &kept, const std::string &now) {
  const std::unique_lock lock(secretMutex_);
  if (now == kept) return false;
  kept = now;
  return true;
}

void Authenticator::noteWrongSecret() const {
  std::uint64_t attempts = 0;
  {
    const std::lock_guard lock(mutex_);
    ++wrongSinceLog_;
    const auto now = std::chrono::steady_clock::now();
    if (lastLog_ && now - *lastLog_ < options_.logInterval) return;
    lastLog_ = now;
    attempts = std::exchange(wrongSinceLog_, 0);
  }
  if (options_.onWrongSecret) options_.onWrongSecret(attempts);
}

} // namespace matrixos::auth
