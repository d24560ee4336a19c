#include <doctest/doctest.h>
#include <fuzz/Replay.h>
#include <fuzz/proxy/Checks.h>
#include <proxy/HeaderPolicy.h>

using namespace matrixos::proxy;

TEST_CASE("the committed corpus of the policy and its mutants hold every invariant") {
  matrixos::fuzz::replay(CORPUS_DIR "/policy", fuzz::checkPolicy, 12);
}

TEST_CASE("a cookie without a name is taken for what it would be read as") {
  CHECK(tenantCookie("=__Host-matrixos-session=x; Path=/", "api.matrix.test").empty());
  CHECK(tenantCookie(" = \t__host-Matrixos", "api.matrix.test").empty());
  CHECK(tenantCookie("=plain; Path=/", "api.matrix.test") == "=plain; Path=/");
  CHECK(withoutPlatformCookies("a=1; =__Host-matrixos-session=x; b=2") == "a=1; b=2");
}

TEST_CASE("the platform's cookies have other names on *.localhost, and stay there, too") {
  CHECK(withoutPlatformCookies("matrixos-app=x; a=1; matrixos=y; matrixos-nonce=z; matrixos-signin=w; Matrixos=v") ==
        "a=1");
  CHECK(withoutPlatformCookies("matrixos-theme=dark; matrixosx=1") == "matrixos-theme=dark; matrixosx=1");
  CHECK(tenantCookie("matrixos-app=stolen; Path=/", "alice.localhost").empty());
  CHECK(tenantCookie("matrixos-theme=dark", "alice.localhost") == "matrixos-theme=dark");
}
