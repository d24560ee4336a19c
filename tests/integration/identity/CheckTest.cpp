// What --check says of the section.
#include "Platform.h"
#include "support/SigningKey.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

TEST_CASE("signing in as anybody is refused while other machines can connect") {
  IdentityPlatform platform;
  CHECK(platform.daemon.check().status == 0);
  platform.daemon.rewriteConfig({{"proxy.listen", "0.0.0.0:" + std::to_string(freePort())}});
  const Finished said = platform.daemon.check();
  CHECK(said.status != 0);
  CHECK_MESSAGE(said.out.find("[identity] mode: \"none\" is refused, because [proxy] listen (") != std::string::npos,
                said.out);
}

TEST_CASE("a public path that means more than it says is refused") {
  IdentityPlatform platform(DaemonProcess::Values{{"identity.public_paths", "/blog*"}});
  const Finished said = platform.daemon.check();
  CHECK(said.status != 0);
  CHECK_MESSAGE(said.out.find("public_paths: \"/blog*\" has a *") != std::string::npos, said.out);
}

TEST_CASE("a mode without what it needs is refused") {
  const auto says = [](const DaemonProcess::Values &values) {
    IdentityPlatform platform(values);
    const Finished said = platform.daemon.check();
    return said.status == 0 ? "fine" : said.out;
  };
  CHECK(says({{"identity.mode", "oidc"}}).find("[identity] issuer: is missing; mode = oidc needs your provider's") !=
        std::string::npos);
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "https://id.example.com"}})
            .find("[identity] client_id: is missing; your provider shows it") != std::string::npos);
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "https://id.example.com"}, {"identity.client_id", "x"}}) ==
        "fine");
  // With the line where it stands.
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "http://id.example.com"}, {"identity.client_id", "x"}})
            .find(": [identity] issuer: has to be an https URL") != std::string::npos);
  CHECK(
      says({{"identity.mode", "clerk"}}).find("[identity] clerk_publishable_key: is missing; copy it from API keys") !=
      std::string::npos);
  CHECK(says({{"identity.mode", "clerk"}, {"identity.clerk_publishable_key", "pk_test_x"}})
            .find(": [identity] clerk_publishable_key: cannot be read: copy it whole") != std::string::npos);
  // clerk.example.com$ in base64
  CHECK(says({{"identity.mode", "clerk"}, {"identity.clerk_publishable_key", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"}}) ==
        "fine");
}

TEST_CASE("values that lock people out are refused, by their key") {
  const TempDir dir;
  const SigningKey rsa(SigningKey::Kind::Rsa, "ins_1");
  writeFile(dir / "nothing", "a.example.com\n");
  writeFile(dir / "keys.json", R"({"keys":[)" + rsa.jwk() + "]}");
  writeFile(dir / "key.pem", rsa.publicPem());
  const auto says = [](const std::string &key, const std::string &value) {
    IdentityPlatform platform(
        DaemonProcess::Values{{"identity.mode", "clerk"},
                              {"identity.clerk_publishable_key", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"},
                              {"identity." + key, value}});
    const Finished said = platform.daemon.check();
    if (said.status == 0) return said.out.find("warning: ") == std::string::npos ? std::string("fine") : said.out;
    const std::size_t at = said.out.find("[identity] " + key + ": ");
    return at == std::string::npos ? "another: " + said.out : said.out.substr(said.out.find(": ", at) + 2);
  };
  const auto refuses = [&](const char *key, const std::string &value, const std::string &why) {
    const std::string said = says(key, value);
    CHECK_MESSAGE(said.rfind("\"" + value + "\" " + why, 0) == 0, said);
  };
  for (const char *value : {"@x", "a@b.com", "*.example.com", "example.com.", "https://example.com"})
    refuses("email_domains", value, "is no domain; write it like example.com");
  CHECK(says("email_domains", "example.com, localhost") == "fine");
  for (const char *value : {"foo", "console.example.com", "https://console.example.com/", "https://Console.example.com",
                            "https://console.example.com:443", "https://*.example.com"})
    refuses("authorized_parties", value, "is no origin; write it like https://console.example.com");
  CHECK(says("authorized_parties", "https://console.example.com, http://console.localhost:9000") == "fine");
  refuses("operators", "groups=", "has no value behind =");
  refuses("operators", "=admins", "has no claim before =");
  CHECK(says("operators", "user_1, a@b.com, groups=admins, sub=YQ==") == "fine");
  refuses("jwks_file", (dir / "nothing").string(), "holds no JSON Web Key Set");
  refuses("jwks_file", (dir / "key.pem").string(), "holds no JSON Web Key Set");
  CHECK(says("jwks_file", (dir / "keys.json").string()) == "fine");
  refuses("public_key_file", (dir / "nothing").string(), "holds no PEM public key");
  CHECK(says("public_key_file", (dir / "key.pem").string()) == "fine");
  const std::string unseen = says("public_key_file", "credential:key");
  CHECK_MESSAGE(unseen.find("\"credential:key\" is not looked at") != std::string::npos, unseen);
  CHECK_MESSAGE(unseen.find("cannot be read") == std::string::npos, unseen);
  // A file may come later.
  CHECK(says("public_key_file", (dir / "none").string()).find("cannot be read; until then nobody can sign in") !=
        std::string::npos);
}

TEST_CASE("allow_sign_up without a plugin that signs people up is warned of") {
  IdentityPlatform platform(DaemonProcess::Values{{"identity.allow_sign_up", "true"}});
  const Finished alone = platform.daemon.check();
  CHECK_MESSAGE(alone.status == 0, alone.out);
  CHECK_MESSAGE(alone.out.find("[identity] allow_sign_up: gives nobody an instance") != std::string::npos, alone.out);
  CHECK(alone.out.find("warning: ") != std::string::npos);
  std::filesystem::copy_file(buildDir() / "plugins/signup.so", platform.daemon.dir() / "plugins/signup.so");
  platform.daemon.rewriteConfig({{"plugins.enabled", "fixed-instances, lifecycle, proxy, signup, identity"}});
  const Finished both = platform.daemon.check();
  CHECK_MESSAGE(both.status == 0, both.out);
  CHECK_MESSAGE(both.out.find("warning: ") == std::string::npos, both.out);
}
