#include "EdgePolicy.h"

#include "RequestOrigin.h"

#include <matrixos/identity.hpp>

#include <http/client/PercentEncoding.h>
#include <http/codec/Bearer.h>

#include <array>
#include <cstring>
#include <utility>

namespace matrixos::identity {

namespace {

constexpr std::string_view kOurs = "/.matrixos";
constexpr std::string_view kCodePath = "/.matrixos/auth";
constexpr std::string_view kWaitingPath = "/.matrixos/waiting"; // the proxy's own
constexpr std::string_view kNotYours = "this instance is not yours, and nobody shares it with you";
constexpr std::int64_t kNonceSeconds = 600;
/// It is percent-encoded twice on the way, and still has to fit into an address.
constexpr std::size_t kMostBack = 1200;

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

void say(const mos_policy_request *raw, mos_policy_verdict verdict, Fields fields) {
  std::array<mos_pair, 4> pairs{};
  for (const auto &[name, value] : fields)
    pairs[verdict.fields_count++] = {toAbi(name), toAbi(value)};
  verdict.struct_size = sizeof verdict;
  verdict.fields = pairs.data();
  raw->answer(raw, &verdict);
}

bool isOurs(std::string_view path) noexcept {
  return path.substr(0, kOurs.size()) == kOurs && (path.size() == kOurs.size() || path[kOurs.size()] == '/');
}

/// The value of the one parameter there is; empty for any other query.
std::string_view codeIn(std::string_view query) noexcept {
  constexpr std::string_view kName = "code=";
  return query.substr(0, kName.size()) == kName ? query.substr(kName.size()) : std::string_view();
}

/// Calls each(value) for a cookie of ours, in whichever field, until it answers true.
template <typename Each>
bool anyCookieOf(const PolicyRequest &request, CookieKind kind, Each &&each) {
  const std::string_view name = http::nameOf(kind, Hosts::isPlain(request.host(), request.scheme()));
  bool found = false;
  request.eachField([&](std::string_view field, std::string_view value) {
    found = detail::isSameField(field, "cookie") && anyCookie(value, name, each);
    return !found;
  });
  return found;
}

} // namespace

/// Who asks, copied, since the session may end at any time.
struct EdgePolicy::Visitor {
  static constexpr std::string_view kPrefix = "user:";

  std::string_view principal, email;
  bool emailVerified = false, isOperator = false;
  std::uint32_t role = MOS_ROLE_NONE;
  bool foreign = false; ///< sent by a page of another origin: who is signed in does not count

  Visitor() = default;
  Visitor(const Visitor &) = delete; // the texts are its own
  Visitor &operator=(const Visitor &) = delete;

  std::string_view id() const noexcept { return principal.substr(principal.empty() ? 0 : kPrefix.size()); }

  void take(const User &user) noexcept {
    principal = put(kPrefix);
    principal = {principal.data(), principal.size() + put(user.id()).size()};
    email = put(user.email());
    emailVerified = user.emailVerified();
    isOperator = !user.operatorBy().empty();
  }
  /// What the instance is told; empty: it is not theirs.
  std::string_view roleHere() const noexcept {
    if (role != MOS_ROLE_NONE) return role == MOS_ROLE_OWNER ? "owner" : "shared";
    return isOperator ? "operator" : "";
  }
  void forget() noexcept {
    principal = email = {};
    emailVerified = isOperator = false;
  }

private:
  std::string_view put(std::string_view text) noexcept {
    char *const at = texts_.data() + used_;
    std::memcpy(at, text.data(), text.size());
    used_ += text.size();
    return {at, text.size()};
  }

  std::array<char, kPrefix.size() + 2 * User::kMostText> texts_;
  std::size_t used_ = 0;
};

EdgePolicy::EdgePolicy(const Hosts &hosts, Sessions &sessions, const Access &access, Codes &codes,
                       const ApiTokens &tokens, PublicPaths publicPaths)
    : hosts_(hosts), sessions_(sessions), access_(access), codes_(codes), tokens_(tokens),
      publicPaths_(std::move(publicPaths)) {
  table_.struct_size = sizeof table_;
  table_.minor = MOS_POLICY_1_MINOR;
  table_.self = this;
  table_.check = [](void *self, const mos_policy_request *request, mos_error *error) {
    return guarded(error, [&] { static_cast<EdgePolicy *>(self)->check(request); });
  };
}

void EdgePolicy::check(Raw raw) const {
  const PolicyRequest request(raw);
  const std::string_view path = request.path();
  const bool ours = isOurs(path);
  if (ours && !request.header("service-worker").empty())
    return deny(raw, Refusal::Path, 403, "no page may take over the platform's own paths");
  if (ours && path != kCodePath && path != kWaitingPath)
    return deny(raw, Refusal::Path, 404, "there is nothing at this path");
  const std::string_view authorization = request.header("authorization");
  if (!http::apiToken(authorization).empty()) return askToken(raw, authorization);
  if (!http::userToken(authorization).empty()) return askProgram(raw, authorization);
  // A path on the platform's own host, where no cookie is an instance's.
  if (request.isByPath())
    return deny(raw, Refusal::Token, 401, "this way needs a token; browsers use the instance's own host");
  Visitor visitor;
  const bool signedIn = isSignedIn(request, visitor);
  if (path == kCodePath) return redeem(raw, visitor);
  if (const std::string_view role = visitor.roleHere(); signedIn && !role.empty()) return admit(raw, visitor, role);
  if (!ours && publicPaths_.contains(path)) return admit(raw, visitor, "public");
  if (visitor.foreign)
    return deny(raw, Refusal::OtherSite, 403, "a page of another site may not use who is signed in here");
  if (signedIn) return deny(raw, Refusal::NotShared, 403, kNotYours);
  if (opensPage(request, request.isNavigation())) return sendToSignIn(raw);
  deny(raw, Refusal::NoSession, 401, "sign in to see this");
}

bool EdgePolicy::isSignedIn(const PolicyRequest &request, Visitor &visitor) const {
  const std::int64_t now = sessions_.now();
  const bool found = anyCookieOf(request, CookieKind::App, [&](std::string_view cookie) {
    return sessions_.table().visit(cookie, request.handle(), now, [&](const User &user) { visitor.take(user); });
  });
  if (!found) return false;
  if (!cookieCounts(request, request.scheme(), request.isNavigation())) {
    visitor.forget();
    visitor.foreign = true;
    return false;
  }
  visitor.role = access_.roleOf(request.handle(), visitor.id(), visitor.email, visitor.emailVerified);
  return true;
}

void EdgePolicy::admit(Raw raw, const Visitor &visitor, std::string_view role) const {
  mos_policy_verdict verdict{};
  verdict.verdict = MOS_VERDICT_ALLOW;
  verdict.principal = toAbi(visitor.principal);
  // What the client sent under these names never travels, so that what is not said here is not said at all.
  if (visitor.principal.empty()) return say(raw, verdict, {{"X-Matrix-Role", role}});
  if (!visitor.emailVerified || visitor.email.empty())
    return say(raw, verdict, {{"X-Matrix-User", visitor.id()}, {"X-Matrix-Role", role}});
  say(raw, verdict, {{"X-Matrix-User", visitor.id()}, {"X-Matrix-Email", visitor.email}, {"X-Matrix-Role", role}});
}

/// A program with a token, which the proxy keeps from the instance.
void EdgePolicy::askToken(Raw raw, std::string_view authorization) const {
  const auto token = tokens_.find(authorization);
  if (!token) return deny(raw, Refusal::Token, 401, "this token is unknown or has expired");
  if (!hasScope(token->scopes, "instances:proxy"))
    return deny(raw, Refusal::Token, 403, "this takes a token with instances:proxy");
  const std::string principal = token->principal();
  mos_policy_verdict verdict{};
  verdict.verdict = MOS_VERDICT_ALLOW;
  verdict.principal = toAbi(principal);
  say(raw, verdict, {{"X-Matrix-User", principal}, {"X-Matrix-Role", "operator"}});
}

/// A program that a user let in: it reaches what the user reaches.
void EdgePolicy::askProgram(Raw raw, std::string_view authorization) const {
  const auto session = sessions_.ofToken(authorization);
  if (!session) return deny(raw, Refusal::Token, 401, "this sign-in of a program has ended");
  Visitor visitor;
  visitor.take(*session->user);
  visitor.role = access_.roleOf(PolicyRequest(raw).handle(), *session->user);
  const std::string_view role = visitor.roleHere();
  role.empty() ? deny(raw, Refusal::NotShared, 403, kNotYours) : admit(raw, visitor, role);
}

/// The way back from signing in: a code becomes a cookie.
void EdgePolicy::redeem(Raw raw, const Visitor &visitor) const {
  const PolicyRequest request(raw);
  if (request.method() != "GET")
    return deny(raw, Refusal::Path, 405, "this path is for browsers that come back from signing in");
  const std::string_view text = codeIn(request.query());
  const std::int64_t now = sessions_.now();
  const auto code = isId(text) ? codes_.take(Digest::of(text), now) : std::nullopt;
  const bool isHis = code && code->handle == request.handle() &&
                     anyCookieOf(request, CookieKind::Nonce,
                                 [&](std::string_view nonce) { return Digest::of(nonce).text() == code->nonce; });
  const auto session = isHis ? sessions_.table().find(code->session, now) : std::nullopt;
  const std::string cookie = session ? sessions_.grant(session->digest, code->handle) : std::string();
  mos_policy_verdict verdict{};
  verdict.verdict = MOS_VERDICT_REDIRECT;
  verdict.status = 303;
  if (cookie.empty()) {
    if (visitor.principal.empty())
      return deny(raw, Refusal::Code, 403,
                  "this link of a sign-in is used up or another browser's; open the page again");
    verdict.location = toAbi("/"); // another tab was quicker
    return say(raw, verdict, {{"Referrer-Policy", "no-referrer"}});
  }
  verdict.location = toAbi(code->returnPath);
  const bool plain = Hosts::isPlain(request.host(), request.scheme());
  const std::string header = setCookie(CookieKind::App, plain, cookie, (session->expiresAt - now) / 1000);
  say(raw, verdict, {{"Set-Cookie", header}, {"Referrer-Policy", "no-referrer"}});
}

void EdgePolicy::sendToSignIn(Raw raw) const {
  const PolicyRequest request(raw);
  const auto host = hosts_.parse(request.host(), request.scheme());
  if (!host) return deny(raw, Refusal::NoSession, 401, "sign in to see this");
  ++countOf(Refusal::NoSession);
  std::string nonce;
  // One for all tabs that open at the same time.
  anyCookieOf(request, CookieKind::Nonce, [&](std::string_view value) {
    if (isId(value)) nonce = value;
    return !nonce.empty();
  });
  if (nonce.empty()) nonce = makeId();
  std::string back(request.path());
  if (!request.query().empty()) back.append("?").append(request.query());
  if (back.size() > kMostBack || !Hosts::isPath(back)) back = "/";
  std::string location =
      host->origin(kConsole) + "/auth/authorize?host=" + http::percentEncode(host->name(host->label));
  location.append("&nonce=").append(Digest::of(nonce).text()).append("&return=").append(http::percentEncode(back));
  mos_policy_verdict verdict{};
  verdict.verdict = MOS_VERDICT_REDIRECT;
  verdict.location = toAbi(location);
  say(raw, verdict, {{"Set-Cookie", setCookie(CookieKind::Nonce, host->plain, nonce, kNonceSeconds)}});
}

void EdgePolicy::deny(Raw raw, Refusal why, unsigned status, std::string_view message) const {
  ++countOf(why);
  mos_policy_verdict verdict{};
  verdict.verdict = MOS_VERDICT_DENY;
  verdict.status = status;
  verdict.message = toAbi(message);
  if (status == 401) return say(raw, verdict, {{"WWW-Authenticate", "Bearer"}});
  say(raw, verdict, {});
}

} // namespace matrixos::identity
