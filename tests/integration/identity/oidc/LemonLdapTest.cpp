// Sign-ins at LemonLDAP::NG, a provider that shares no code with the other: Perl, keys and claims of its own making.
#include "../Browser.h"
#include "../Platform.h"
#include "Callback.h"
#include "HostFetch.h"
#include "RealProvider.h"

#include <doctest/doctest.h>
#include <identity/oidc/OpenIdProvider.h>
#include <support/Errors.h>

#include <set>
#include <string>

using namespace matrixos;
using namespace matrixos::test;
using identity::OpenIdProvider;
using identity::ProviderUser;
using identity::SignInStart;

namespace {

std::set<std::string> groupsOf(const ProviderUser &user) {
  std::set<std::string> groups;
  const auto [first, last] = user.claims.equal_range("groups");
  for (auto at = first; at != last; ++at)
    groups.insert(at->second);
  return groups;
}

} // namespace

TEST_CASE("somebody signs in at LemonLDAP::NG, with a secret and without, and is who it says with its groups") {
  const auto real = RealProvider::startLemonLdap(kCallback);
  if (!real) return;
  HostFetch host;
  for (const std::string client : {"RS256", "public"}) {
    CAPTURE(client);
    const std::string secret = client == "public" ? "" : "secret-of-" + client;
    OpenIdProvider provider({real->issuer(), client, secret, {"email", "profile"}, {}}, host.world());
    const SignInStart start = provider.begin(kCallback);
    const auto query = queryOf(SignInVisitor(*real).signIn(start.location, "rtyler"));
    CHECK(valueOf(query, "state") == start.state);
    const ProviderUser user = provider.finish(query, start.secret, kCallback);
    CHECK(user.id == "rtyler");
    CHECK(user.email == "rtyler@badwolf.org");
    CHECK(user.emailVerified);
    CHECK(user.name == "Rose Tyler");
    CHECK(groupsOf(user) == std::set<std::string>{"earthlings", "users"});
    CHECK(errorOf([&] { provider.finish(query, start.secret, kCallback); }).reason() == "CODE_REFUSED");
  }
  CHECK(host.notes() == "");
}

TEST_CASE("LemonLDAP::NG refuses what is not the sign-in that began, and who has another secret") {
  const auto real = RealProvider::startLemonLdap(kCallback);
  if (!real) return;
  HostFetch host;
  OpenIdProvider provider({real->issuer(), "RS256", "secret-of-RS256", {"email"}, {}}, host.world());
  const SignInStart mine = provider.begin(kCallback), theirs = provider.begin(kCallback);
  auto query = queryOf(SignInVisitor(*real).signIn(mine.location, "dwho"));
  // A code that was brought to another browser: PKCE does not let it pass, though the state is right there.
  query.erase("state");
  query.emplace("state", theirs.state);
  CHECK(errorOf([&] { provider.finish(query, theirs.secret, kCallback); }).reason() == "CODE_REFUSED");

  OpenIdProvider stranger({real->issuer(), "RS256", "another", {"email"}, {}}, host.world());
  const SignInStart start = stranger.begin(kCallback);
  query = queryOf(SignInVisitor(*real).signIn(start.location, "dwho"));
  CHECK(errorOf([&] { stranger.finish(query, start.secret, kCallback); }).reason() == "CLIENT_REFUSED");
  CHECK(host.notes().find("invalid_client") != std::string::npos);
  CHECK(host.notes().find("another") == std::string::npos);
}

TEST_CASE("through the daemon, who is in the right group at LemonLDAP::NG is an operator, and others are strangers") {
  IdentityPlatform platform(DaemonProcess::Values{{"identity.mode", "oidc"},
                                                  {"identity.client_id", "RS256"},
                                                  {"identity.client_secret", "secret-of-RS256"},
                                                  {"identity.operators", "groups=timelords"},
                                                  {"identity.email_domains", "badwolf.org"}});
  Browser dwho(platform.daemon.proxyPort()), rtyler(platform.daemon.proxyPort());
  const auto real = RealProvider::startLemonLdap(dwho.url("console", "/auth/callback"));
  if (!real) return;
  platform.daemon.rewriteConfig({{"identity.issuer", real->issuer()}});
  platform.daemon.start();
  const auto signIn = [&](Browser &browser, const std::string &name) {
    const Response away = browser.open(browser.url("alice", "/deep?x=1"), 2);
    REQUIRE(away.status == 303);
    return browser.open(SignInVisitor(*real).signIn(away.headers.at("location"), name));
  };
  CHECK(signIn(rtyler, "rtyler").body.find("This instance is not yours") != std::string::npos);
  CHECK(platform.lastRequest() == "");
  CHECK(signIn(dwho, "dwho").body == "an instance");
  const std::string heard = platform.lastRequest();
  CHECK(heard.find("GET /deep?x=1 ") == 0);
  CHECK(heard.find("X-Matrix-User: dwho\r\n") != std::string::npos);
  CHECK(heard.find("X-Matrix-Email: dwho@badwolf.org\r\n") != std::string::npos);
  CHECK(heard.find("X-Matrix-Role: operator\r\n") != std::string::npos);
}
