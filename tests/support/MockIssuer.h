#pragma once

#include "support/SigningKey.h"

#include <matrixos/host/fetch.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::test {

/// An OpenID provider that signs in whomever the test says, and lies as it is told: discovery, keys, token and userinfo
/// endpoints. Nobody types anything; a code is what code() gives. It answers fetches in the test's own process; a test
/// that wants it on a socket asks answer() from there. Any thread, but for the members that tests change.
class MockIssuer {
public:
  using Json = nlohmann::json;

  explicit MockIssuer(std::string name = "https://issuer.example", SigningKey key = SigningKey());

  /// What it says of itself, its keys, of the user in the token (without times and nonce, which it adds) and at the
  /// userinfo endpoint, which exists when this is no null. A test changes them as it likes.
  Json discovery, keys, claims, userinfo;
  /// Seconds since 1970, for times in tokens.
  std::int64_t now = 1'750'000'000;
  SigningKey key;
  std::string clientId = "platform", clientSecret = "s3cr:t/ü";
  /// Makes the ID token of the claims; at first it signs them with `key`.
  std::function<std::string(const Json &claims)> mint;
  /// Has the first word on every fetch, with the path; one that answers with status 0 leaves it to the issuer.
  std::function<FetchAnswer(const FetchRequest &request, const std::string &path)> before;

  const std::string &name() const noexcept { return name_; }
  /// A code for the sign-in that this URL of our platform's began, as the browser would bring it back.
  std::string code(const std::string &location);
  /// Answers a fetch of one of its own URLs.
  FetchAnswer answer(const FetchRequest &request);
  /// How often each path was asked for.
  int asked(const std::string &path) const;
  /// All of them, the last one last.
  std::vector<FetchRequest> requests() const;

private:
  FetchAnswer exchange(const FetchRequest &request);

  const std::string name_;
  mutable std::mutex mutex_;
  std::map<std::string, std::multimap<std::string, std::string>> pending_; ///< code to parameters of the sign-in
  std::vector<FetchRequest> requests_;
  std::map<std::string, int> asked_;
};

/// The parameters of a query or a form, decoded.
std::multimap<std::string, std::string> formDecode(const std::string &text);
/// What stands in the one parameter of that name; "" when there is none.
std::string valueOf(const std::multimap<std::string, std::string> &form, const std::string &name);

} // namespace matrixos::test
