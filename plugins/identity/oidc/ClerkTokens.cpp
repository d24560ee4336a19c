#include "ClerkTokens.h"

#include "BadSetting.h"
#include "Claims.h"
#include "JsonWebToken.h"
#include "Refusal.h"

#include <matrixos/text/base64.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace matrixos::identity {

namespace {

/// Clerk's own; tokens live for 60 seconds.
constexpr std::chrono::seconds kSkew{5};

Error noSuchWay() {
  return Error(Status::Unimplemented, "In mode clerk a page signs in and posts its token", "NOT_OIDC");
}

std::string issuerOf(const ClerkTokens::Settings &settings) {
  return settings.issuer.empty() ? "https://" + ClerkTokens::frontendApi(settings.publishableKey) : settings.issuer;
}

void checkHeader(const JsonWebToken &token) {
  if (token.headerText("typ").value_or("JWT") != "JWT")
    throw refusal("WRONG_TYPE", "The token is not one of a session at Clerk");
  if (token.algorithm() != "RS256")
    throw refusal("WRONG_ALGORITHM", "The token is not signed in the way that Clerk signs");
  // The two are kinds of session tokens; Clerk has others, of which a page may hold one.
  const auto category = token.headerText("cat");
  if (category && category != "cl_B7d4PD111AAA" && category != "cl_I7d4PD111III")
    throw refusal("WRONG_CATEGORY", "The token is not one of a session at Clerk");
}

void checkParty(const Claims &claims, const std::vector<std::string> &authorized) {
  const auto party = claims.text("azp");
  if (!party || std::find(authorized.begin(), authorized.end(), *party) == authorized.end())
    throw refusal("WRONG_PARTY", "The token was given to a page that does not belong to this platform");
}

void checkSession(const Claims &claims) {
  const auto status = claims.text("sts");
  if (status && status != "active")
    throw refusal("SESSION_PENDING", "Clerk still asks you for something: finish the sign-in there first");
  if (claims.text("sid").value_or("").empty())
    throw refusal("NO_SESSION", "The token does not belong to a session at Clerk");
}

/// Who acts for the user (RFC 8693 §4.1); empty: nobody.
std::string actorOf(const Claims &claims) {
  const auto actor = claims.object().find("act");
  if (actor == claims.object().end() || actor->is_null()) return {};
  return actor->is_object() ? Claims(*actor).subject() : std::string("somebody");
}

} // namespace

ClerkTokens::ClerkTokens(Settings settings, World world)
    : settings_(std::move(settings)), issuer_(issuerOf(settings_), std::move(world)),
      keys_(issuer_, settings_.keys, [this] { return issuer_.name() + "/.well-known/jwks.json"; }) {
  if (settings_.authorizedParties.empty())
    throw BadSetting("authorized_parties", "is empty; name the origins of your own pages", "NO_PARTIES");
}

SignInStart ClerkTokens::begin(const std::string &) {
  throw noSuchWay();
}

ProviderUser ClerkTokens::finish(const std::multimap<std::string, std::string> &, const std::string &,
                                 const std::string &) {
  throw noSuchWay();
}

ProviderUser ClerkTokens::redeem(const std::string &text) {
  const JsonWebToken token = JsonWebToken::parse(text);
  checkHeader(token);
  const Claims claims(token.claims(*keys_.find(token)));
  claims.subject();
  checkParty(claims, settings_.authorizedParties);
  claims.checkTimes(issuer_.world().wallMs(), kSkew);
  if (claims.text("iss") != issuer_.name()) throw refusal("WRONG_ISSUER", "The token is of another provider");
  checkSession(claims);
  ProviderUser user = claims.user();
  const std::string actor = actorOf(claims);
  if (!actor.empty()) {
    user.claims.erase("act");
    user.claims.emplace("act", actor);
    issuer_.world().note(actor + " signs in as " + user.id + " at Clerk");
  }
  return user;
}

std::string ClerkTokens::frontendApi(std::string_view publishableKey) {
  constexpr std::size_t kPrefix = 8;
  const std::string_view kind = publishableKey.substr(0, kPrefix);
  if (kind == "pk_live_" || kind == "pk_test_") {
    auto host = base64Decode(publishableKey.substr(kPrefix));
    if (host && !host->empty() && host->back() == '$') {
      host->pop_back();
      if (isHostName(*host)) return *std::move(host);
    }
  }
  throw BadSetting("clerk_publishable_key",
                   "cannot be read: copy it whole from API keys in Clerk's dashboard, pk_live_… or pk_test_…",
                   "BAD_PUBLISHABLE_KEY");
}

} // namespace matrixos::identity
