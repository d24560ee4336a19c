// Real people's browsers: Chromium, the daemon, and a certified OpenID provider. The cases are in the scripts.
#include "../Platform.h"
#include "../oidc/RealProvider.h"

#include <matrixos/json_text.hpp>

#include <browser/ChromiumScript.h>
#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// The platform at *.localhost, and encrypted at *.matrix.test.
class SignInStage {
public:
  /// Runs a script of this folder to its end.
  void play(const std::string &name) {
    if (!provider_) return;
    const auto script = chromiumScript(std::filesystem::path(BROWSER_SCRIPTS) / name, given());
    if (!script) return;
    makeCertificate();
    daemon().rewriteConfig({{"identity.issuer", provider_->issuer()}});
    daemon().start();
    const Finished played = run(*script, {}, std::chrono::minutes{10});
    MESSAGE(played.out);
    CHECK_MESSAGE(played.status == 0, daemon().log());
  }

private:
  static std::string callback(const std::string &origin, std::uint16_t port) {
    return origin + ":" + std::to_string(port) + "/auth/callback";
  }
  DaemonProcess &daemon() { return platform_.daemon; }
  std::string file(const char *name) const { return (dir_ / name).string(); }

  DaemonProcess::Values values() const {
    DaemonProcess::Values out = IdentityPlatform::unlimited();
    out.merge(DaemonProcess::Values{{"platform.domain", "matrix.test"},
                                    {"proxy.tls_listen", "127.0.0.1:" + std::to_string(tlsPort_)},
                                    {"proxy.tls_certificate", file("pem")},
                                    {"proxy.tls_key", file("key")},
                                    {"fixed-instances.running", "alice:1:ada, bob:1:bob"},
                                    {"identity.mode", "oidc"},
                                    {"identity.client_id", "ES256"},
                                    {"identity.client_secret", "secret of ES256"}});
    return out;
  }
  void makeCertificate() const {
    const Finished made =
        run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=matrix.test", "-keyout", file("key"), "-out", file("pem")});
    REQUIRE_MESSAGE(made.status == 0, made.out);
  }
  std::string given() {
    JsonObject out;
    out.add("httpPort", daemon().proxyPort()).add("tlsPort", tlsPort_);
    out.add("adminSocket", daemon().adminSocket().string()).add("issuer", provider_->issuer());
    return std::move(out).str();
  }

  TempDir dir_;
  std::uint16_t tlsPort_ = freePort();
  IdentityPlatform platform_{values()};
  std::unique_ptr<RealProvider> provider_ =
      RealProvider::start("usual", {callback("http://console.localhost", daemon().proxyPort()),
                                    callback("https://console.matrix.test", tlsPort_)});
};

} // namespace

TEST_CASE("signing in and out, sharing, and whose instances open") {
  SignInStage().play("sign-in.mjs");
}

TEST_CASE("a tenant's page fails in whatever it tries on somebody who is signed in") {
  SignInStage().play("hostile.mjs");
}
