#pragma once

#include <doctest/doctest.h>
#include <support/MockIssuer.h>

#include <map>
#include <string>

namespace matrixos::test {

/// Where providers send browsers back to; the real ones know it.
constexpr const char *kCallback = "http://console.localhost/auth/callback";

/// What a provider says there.
inline std::multimap<std::string, std::string> queryOf(const std::string &callback) {
  REQUIRE(callback.rfind(std::string(kCallback) + "?", 0) == 0);
  return formDecode(callback.substr(callback.find('?') + 1));
}

} // namespace matrixos::test
