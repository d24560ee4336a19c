#include "ApiIdentity.h"

#include "RequestOrigin.h"

#include <http/codec/Bearer.h>

#include <string>

namespace matrixos::identity {

namespace {

void say(const mos_identity_request *raw, const Principal &who) {
  const mos_principal given = who.abi();
  raw->answer(raw, &given);
}

bool onlyReads(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD";
}

/// Pages of the platform's own, whose forms send no fields of their own.
bool isPage(std::string_view path) noexcept {
  return path.substr(0, 6) == "/auth/";
}

} // namespace

ApiIdentity::ApiIdentity(const Hosts &hosts, const Sessions &sessions, const Access &access, const ApiTokens &tokens)
    : hosts_(hosts), sessions_(sessions), access_(access), tokens_(tokens) {
  table_.struct_size = sizeof table_;
  table_.minor = MOS_IDENTITY_1_MINOR;
  table_.self = this;
  table_.identify = [](void *self, const mos_identity_request *request, mos_error *error) {
    return guarded(error, [&] { static_cast<ApiIdentity *>(self)->identify(request); });
  };
}

void ApiIdentity::identify(const mos_identity_request *raw) const {
  const IdentityRequest request(raw);
  const std::string_view authorization = request.header("authorization");
  if (!http::apiToken(authorization).empty()) return askToken(raw, authorization);
  if (!http::userToken(authorization).empty()) {
    const auto session = sessions_.ofToken(authorization);
    if (!session) return say(raw, Principal::refused(401, "this sign-in of a program has ended"));
    return sayUser(raw, request, *session->user);
  }
  const std::string_view scheme = request.header("x-forwarded-proto") == "https" ? "https" : "http";
  const auto at = hosts_.parse(request.host(), scheme);
  if (!at || at->label != kConsole) return say(raw, Principal::unknown());
  const auto session = sessions_.ofCookies(request.header("cookie"), at->plain);
  if (!session) return say(raw, Principal::unknown());
  const bool navigates = request.method() == "GET" && request.header("sec-fetch-mode") == "navigate";
  if (!cookieCounts(request, at->plain ? "http" : "https", navigates))
    return say(raw, Principal::refused(403, "a page of another site may not use who is signed in here"));
  // No form has it, and scripts of other sites have to ask first, which nobody here allows.
  if (!onlyReads(request.method()) && !isPage(request.path()) && request.header("x-matrixos") != "1")
    return say(raw, Principal::refused(403, "a change that comes with a cookie needs the field X-Matrixos: 1"));
  sayUser(raw, request, *session->user);
}

void ApiIdentity::askToken(const mos_identity_request *raw, std::string_view authorization) const {
  const auto token = tokens_.find(authorization);
  if (!token) return say(raw, Principal::refused(401, "this token is unknown or has expired"));
  const std::string id = token->principal();
  say(raw, Principal::operatorWith(id, token->scopes));
}

void ApiIdentity::sayUser(const mos_identity_request *raw, const IdentityRequest &request, const User &user) const {
  const std::string id = "user:" + std::string(user.id());
  if (!user.operatorBy().empty()) return say(raw, Principal::operatorWith(id, "*"));
  const std::string shares = access_.sharedWith(user);
  say(raw, Principal::user(id, access_.roleOf(request.handle(), user), shares));
}

} // namespace matrixos::identity
