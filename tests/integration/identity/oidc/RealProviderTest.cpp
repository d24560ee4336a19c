// Sign-ins at a real, certified OpenID provider.
#include "RealProvider.h"

#include "Callback.h"
#include "HostFetch.h"

#include <doctest/doctest.h>
#include <identity/oidc/OpenIdProvider.h>
#include <support/Errors.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;
using identity::OpenIdProvider;
using identity::ProviderUser;
using identity::SignInStart;

namespace {

OpenIdProvider::Settings settingsOf(const RealProvider &real, const std::string &client) {
  return {real.issuer(), client, client == "public" ? "" : "secret of " + client, {"email", "profile"}, {}};
}

} // namespace

TEST_CASE("somebody signs in at a certified provider, with tokens of each algorithm and each way to be a client") {
  std::string kind;
  SUBCASE("claims at the userinfo endpoint, the secret in the header") {
    kind = "usual";
  }
  SUBCASE("claims in the ID token, the secret in the form") {
    kind = "other";
  }
  const auto real = RealProvider::start(kind);
  if (!real) return;
  HostFetch host;
  for (const char *client : {"RS256", "PS256", "ES256", "EdDSA", "public"}) {
    CAPTURE(client);
    OpenIdProvider provider(settingsOf(*real, client), host.world());
    SignInVisitor visitor(*real);
    const SignInStart start = provider.begin(kCallback);
    const auto query = queryOf(visitor.signIn(start.location, "alice"));
    CHECK(valueOf(query, "state") == start.state);
    CHECK(valueOf(query, "iss") == real->issuer());
    const ProviderUser user = provider.finish(query, start.secret, kCallback);
    CHECK(user.id == "alice");
    CHECK(user.email == "alice@ok.com");
    CHECK(user.emailVerified);
    CHECK(user.name == "The alice");
    CHECK(user.username == "alice");
    // The code counts once, whatever we remember.
    CHECK(errorOf([&] { provider.finish(query, start.secret, kCallback); }).reason() == "CODE_REFUSED");
  }
  CHECK(host.notes() == "");
}

TEST_CASE("a certified provider refuses what is not the sign-in that began") {
  const auto real = RealProvider::start();
  if (!real) return;
  HostFetch host;
  OpenIdProvider provider(settingsOf(*real, "ES256"), host.world());
  SignInVisitor visitor(*real);
  const SignInStart mine = provider.begin(kCallback), theirs = provider.begin(kCallback);
  auto query = queryOf(visitor.signIn(mine.location, "alice"));
  const auto failure = [&](const SignInStart &start) {
    return errorOf([&] { provider.finish(query, start.secret, kCallback); }).reason();
  };
  // A code that was brought to another browser: PKCE does not let it pass, though the state is right there.
  CHECK(failure(theirs) == "BAD_CALLBACK");
  query.erase("state");
  query.emplace("state", theirs.state);
  CHECK(failure(theirs) == "CODE_REFUSED");

  OpenIdProvider::Settings settings = settingsOf(*real, "ES256");
  settings.clientSecret = "another";
  OpenIdProvider stranger(settings, host.world());
  const SignInStart start = stranger.begin(kCallback);
  query = queryOf(SignInVisitor(*real).signIn(start.location, "bob"));
  const Error refused = errorOf([&] { stranger.finish(query, start.secret, kCallback); });
  CHECK(refused.reason() == "CLIENT_REFUSED");
  CHECK(host.notes().find("invalid_client") != std::string::npos);
  CHECK(host.notes().find("another") == std::string::npos);
}

TEST_CASE("who turns away at a certified provider reads that") {
  const auto real = RealProvider::start();
  if (!real) return;
  HostFetch host;
  OpenIdProvider provider(settingsOf(*real, "RS256"), host.world());
  const SignInStart start = provider.begin(kCallback);
  const auto query = queryOf(SignInVisitor(*real).cancel(start.location));
  CHECK(valueOf(query, "error") == "access_denied");
  CHECK(errorOf([&] { provider.finish(query, start.secret, kCallback); }).reason() == "ACCESS_DENIED");
}
