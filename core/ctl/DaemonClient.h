#pragma once

#include "ctl/CommandLine.h"

#include <matrixos/json.hpp>

#include <http/client/HttpClient.h>
#include <http/client/PercentEncoding.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::ctl {

/// A refusal, as the user reads it, and the exit code that goes with it.
class Failure : public std::runtime_error {
public:
  /// `reason`: the daemon's word for it, for programs; empty when it said none.
  Failure(int exitCode, const std::string &message, std::string reason = {})
      : std::runtime_error(message), exitCode_(exitCode), reason_(std::move(reason)) {}
  int exitCode() const noexcept { return exitCode_; }
  const std::string &reason() const noexcept { return reason_; }

private:
  int exitCode_;
  std::string reason_;
};

/// The running daemon, found through --api, the configuration or the default socket.
class DaemonClient {
public:
  /// With the secret of --secret-file, or else the user's sign-in at the address that was given.
  explicit DaemonClient(const Invocation &invocation);
  /// `token`: a secret of any kind; may be empty.
  explicit DaemonClient(http::BaseUrl url, std::string token = {}) : url_(std::move(url)), secret_(std::move(token)) {}

  /// What --api or --url says; nothing when neither was given. Throws UsageError.
  static std::optional<http::BaseUrl> givenUrl(const Invocation &invocation);

  /// The body of a 2xx answer. Throws Failure with the daemon's own sentence for others, and with what to do when no
  /// daemon answers. `patience`: for the whole exchange; 0 waits for ever.
  std::string call(const std::string &method, const std::string &path, const std::string &body = {},
                   std::chrono::milliseconds patience = std::chrono::minutes{2}) const;
  /// Takes a line of an answer, borrowed for the call; false ends the exchange.
  using LineFn = std::function<bool(std::string_view line)>;
  /// The same for an answer that comes as it likes; takes as long as it takes.
  void stream(const std::string &method, const std::string &path, const std::string &body, const LineFn &line) const;
  /// Any answer, whatever its status. Throws Failure when there is none.
  http::ClientResponse send(const std::string &method, const std::string &path, const std::string &body,
                            const std::string &contentType, std::chrono::milliseconds patience,
                            const LineFn &line = {}) const;
  /// Throws the Failure that an answer other than 2xx means.
  [[noreturn]] void refused(const http::ClientResponse &answer) const;
  json::Value get(const std::string &path) const { return json::parse(call("GET", path)); }

  const std::string &endpoint() const noexcept { return url_.text(); }
  bool isSocket() const noexcept { return !url_.socketPath().empty(); }

private:
  std::string exchange(const std::string &method, const std::string &path, const std::string &body,
                       std::chrono::milliseconds patience, const LineFn &line) const;
  [[noreturn]] void unreachable(const Error &error) const;
  /// What to do about a 401 without a secret.
  std::string howToSignIn() const;

  const http::BaseUrl url_;
  const bool isGiven_ = true;    ///< by --api or --url, not found through the configuration
  const std::string secretFile_; ///< as it was typed; may be empty
  std::string secret_;
  bool isSignIn_ = false; ///< the secret is a token of "login"
  mutable http::HttpClient client_;
};

} // namespace matrixos::ctl
