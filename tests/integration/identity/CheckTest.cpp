// What --check says of the section.
#include "Platform.h"

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
  CHECK(says({{"identity.mode", "oidc"}}).find("issuer is missing") != std::string::npos);
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "https://id.example.com"}}).find("client_id is missing") !=
        std::string::npos);
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "https://id.example.com"}, {"identity.client_id", "x"}}) ==
        "fine");
  CHECK(says({{"identity.mode", "oidc"}, {"identity.issuer", "http://id.example.com"}, {"identity.client_id", "x"}}) !=
        "fine");
  CHECK(says({{"identity.mode", "clerk"}}).find("clerk_publishable_key is missing") != std::string::npos);
  CHECK(says({{"identity.mode", "clerk"}, {"identity.clerk_publishable_key", "pk_test_x"}}) != "fine");
  // clerk.example.com$ in base64
  CHECK(says({{"identity.mode", "clerk"}, {"identity.clerk_publishable_key", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"}}) ==
        "fine");
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
