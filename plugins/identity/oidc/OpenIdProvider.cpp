#include "OpenIdProvider.h"

#include "BadSetting.h"
#include "Encoding.h"
#include "IdToken.h"
#include "Refusal.h"

#include <matrixos/host/config.hpp>
#include <matrixos/text/base64.hpp>

#include <http/client/PercentEncoding.h>
#include <http/codec/Grammar.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

namespace matrixos::identity {

namespace {

constexpr std::chrono::minutes kMetadataLifetime{60};
constexpr std::size_t kMaxCode = 8192;
constexpr std::size_t kMaxAccessToken = 16 * 1024;

std::string scopeOf(const std::vector<std::string> &scopes) {
  std::string text = "openid";
  for (const std::string &scope : scopes) {
    if (scope != "openid") text += " " + scope;
  }
  return text;
}

Error badCallback(const char *why) {
  return refusal("BAD_CALLBACK", std::string("The provider's answer to the sign-in ") + why + "; sign in again");
}

/// A parameter of the callback, which must not be there twice (RFC 6749 §3.1).
std::optional<std::string> single(const std::multimap<std::string, std::string> &query, const char *name) {
  const auto [first, last] = query.equal_range(name);
  if (first == last) return std::nullopt;
  if (std::next(first) != last) throw badCallback("is ambiguous");
  return first->second;
}

/// An error's code as it may be shown. It came through a browser, or from a provider that might say anything.
std::string errorWord(const std::string &code) {
  const auto plain = [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'; };
  return code.size() <= 40 && std::all_of(code.begin(), code.end(), plain) ? code : std::string("unknown error");
}

/// RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6.
[[noreturn]] void tellError(const std::string &code) {
  if (code == "access_denied")
    throw refusal("ACCESS_DENIED", "The sign-in was cancelled, or the provider did not allow it");
  if (code == "temporarily_unavailable" || code == "server_error")
    throw Error(Status::Unavailable, "The sign-in provider cannot sign anybody in now; try again later",
                "ISSUER_UNREACHABLE");
  throw refusal("PROVIDER_ERROR", "The provider did not sign you in: " + errorWord(code));
}

std::string textOf(const Json &object, const char *name, std::size_t longest) {
  const std::string *text = textIn(object, name);
  return text != nullptr && text->size() <= longest ? *text : std::string();
}

/// Nothing when it is no object.
std::optional<Json> objectOf(const std::string &body) {
  try {
    return parseStrictObject(body);
  } catch (const Error &) {
    return std::nullopt;
  }
}

} // namespace

OpenIdProvider::OpenIdProvider(Settings settings, World world)
    : settings_(std::move(settings)), issuer_(settings_.issuer, std::move(world)),
      metadata_([this] { return Metadata::load(issuer_); }, kMetadataLifetime, issuer_.world().now),
      keys_(issuer_, settings_.keys, [this] { return metadata_.get()->jwksUri; }) {
  if (settings_.clientId.empty())
    throw BadSetting("client_id", "is missing; your provider shows it for the client that you made", "NO_CLIENT");
}

SignInStart OpenIdProvider::begin(const std::string &callback) {
  const auto metadata = metadata_.get();
  const Pending pending{randomText(), randomText(), randomText()};
  const std::string &endpoint = metadata->authorizationEndpoint;
  const std::string query = formEncode({{"response_type", "code"},
                                        {"client_id", settings_.clientId},
                                        {"redirect_uri", callback},
                                        {"scope", scopeOf(settings_.scopes)},
                                        {"state", pending.state},
                                        {"nonce", pending.nonce},
                                        {"code_challenge", base64Url(sha256(pending.verifier))},
                                        {"code_challenge_method", "S256"}});
  return {endpoint + (endpoint.find('?') == std::string::npos ? "?" : "&") + query, pending.state,
          pending.state + "." + pending.nonce + "." + pending.verifier};
}

ProviderUser OpenIdProvider::finish(const Query &query, const std::string &secret, const std::string &callback) {
  const Pending pending = pendingOf(secret);
  const auto metadata = metadata_.get();
  const Json tokens = exchange(codeOf(query, pending, *metadata), pending, callback, *metadata);
  const std::string accessToken = textOf(tokens, "access_token", kMaxAccessToken);
  const std::string idToken = textOf(tokens, "id_token", std::string::npos);
  if (accessToken.empty() || idToken.empty() || !http::sameText(textOf(tokens, "token_type", kMaxCode), "bearer"))
    throw issuer_.unusable("its token endpoint gives no bearer token with an ID token");
  return complete(checkIdToken(idToken, {settings_.clientId, pending.nonce, accessToken}, issuer_, keys_), accessToken,
                  *metadata)
      .user();
}

ProviderUser OpenIdProvider::redeem(const std::string &) {
  throw Error(Status::Unimplemented, "Tokens are not taken in mode oidc: sign in with a browser", "NOT_CLERK");
}

OpenIdProvider::Pending OpenIdProvider::pendingOf(const std::string &secret) {
  const std::size_t first = secret.find('.'), second = secret.rfind('.');
  if (first == std::string::npos || first == second) throw badCallback("belongs to no sign-in of this browser");
  return {secret.substr(0, first), secret.substr(first + 1, second - first - 1), secret.substr(second + 1)};
}

std::string OpenIdProvider::codeOf(const Query &query, const Pending &pending, const Metadata &metadata) const {
  if (!Secret(pending.state).equals(single(query, "state").value_or("")))
    throw badCallback("belongs to another sign-in");
  // Before anything else is believed, errors too (RFC 9207 §2.4).
  const auto issuer = single(query, "iss");
  if (issuer ? *issuer != issuer_.name() : metadata.sendsIssuer)
    throw refusal("WRONG_ISSUER", "The answer to the sign-in is of another provider");
  if (const auto error = single(query, "error")) tellError(*error);
  const auto code = single(query, "code");
  if (!code || code->empty() || code->size() > kMaxCode) throw badCallback("has no code");
  return *code;
}

Json OpenIdProvider::exchange(const std::string &code, const Pending &pending, const std::string &callback,
                              const Metadata &metadata) const {
  std::vector<std::pair<std::string, std::string>> form = {{"grant_type", "authorization_code"},
                                                           {"code", code},
                                                           {"redirect_uri", callback},
                                                           {"code_verifier", pending.verifier}};
  FetchRequest request;
  request.url = metadata.tokenEndpoint;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
  const bool isPublic = settings_.clientSecret.empty();
  if (isPublic || metadata.secretInForm) form.emplace_back("client_id", settings_.clientId);
  if (!isPublic && metadata.secretInForm) form.emplace_back("client_secret", settings_.clientSecret);
  // RFC 6749 §2.3.1: both are form-encoded before they become Basic credentials.
  if (!isPublic && !metadata.secretInForm)
    request.headers.emplace_back("Authorization",
                                 "Basic " + base64Encode(http::percentEncode(settings_.clientId) + ":" +
                                                         http::percentEncode(settings_.clientSecret)));
  request.body = formEncode(form);
  const FetchAnswer answer = issuer_.ask(std::move(request));
  auto object = objectOf(answer.body);
  if (answer.status == 200 && object) return *std::move(object);
  const std::string error = object ? textOf(*object, "error", kMaxCode) : std::string();
  if (error == "invalid_grant")
    throw refusal("CODE_REFUSED", "The provider does not accept the sign-in any more; sign in again");
  if (error == "invalid_client" || error == "unauthorized_client" || answer.status == 401) {
    issuer_.world().note("the sign-in provider does not accept client_id and client_secret: " + errorWord(error));
    throw Error(Status::Unavailable, "The sign-in provider does not know this platform; tell its operators",
                "CLIENT_REFUSED");
  }
  throw issuer_.unusable("its token endpoint answers with status " + std::to_string(answer.status) + ", " +
                         errorWord(error));
}

Claims OpenIdProvider::complete(Claims claims, const std::string &accessToken, const Metadata &metadata) const {
  if (claims.has("email") || metadata.userinfoEndpoint.empty()) return claims;
  FetchRequest request;
  request.url = metadata.userinfoEndpoint;
  request.headers = {{"Accept", "application/json"}, {"Authorization", "Bearer " + accessToken}};
  const FetchAnswer answer = issuer_.ask(std::move(request));
  // The scopes may not allow it, or it may be encrypted: then there is no address.
  auto object = answer.status == 200 ? objectOf(answer.body) : std::nullopt;
  if (!object) return claims;
  // OpenID Connect Core §5.3.2: else it may be about somebody else.
  if (Claims(*object).subject() != claims.subject())
    throw refusal("WRONG_USERINFO", "The provider speaks of somebody else than the sign-in token");
  Json all = claims.object();
  for (const auto &[name, value] : object->items())
    if (!all.contains(name)) all[name] = value;
  return Claims(std::move(all));
}

} // namespace matrixos::identity
