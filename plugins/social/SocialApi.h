#pragma once

#include "InFlight.h"

#include <matrixos/caller.hpp>
#include <matrixos/orchestrator.hpp>

#include <http/client/HttpClient.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::social {

/// The instance (or the message proxy) could not be reached or gave an answer that cannot be passed on: HTTP 502,
/// which no Status stands for.
class BadGateway : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Who exists, what instances tell of themselves, and messages to them. Never wakes an instance, and talks to nobody
/// but the instance's own gateway endpoint or the configured message proxy. Functions give JSON; they block and may be
/// called from any thread. They throw matrixos::Error and BadGateway.
class SocialApi {
public:
  struct Settings {
    std::string proxyUrl; ///< messages go there; empty: to the instance's gateway
    std::string secret;   ///< the platform's, which vouches there for the sender
    std::chrono::milliseconds connectTimeout{2000};
    std::chrono::milliseconds timeout{10000};
    std::size_t maxResponse = 256 * 1024;
    std::size_t maxInFlight = 32;
    std::size_t maxPerInstance = 8;
  };
  enum class FetchResult { Ok, Unreachable, BadAnswer };
  /// Hears of every exchange with an instance or the proxy. Any thread.
  using Observer = std::function<void(FetchResult result, std::chrono::microseconds took)>;

  static constexpr std::size_t kMaxText = 16 * 1024;
  static constexpr std::size_t kMaxDisplayName = 128;

  /// Throws Error(InvalidArgument) for a bad proxyUrl.
  SocialApi(OrchestratorClient orchestrator, Settings settings, Observer observer);

  /// Exchanges under way keep what they began with. Throws like the constructor and then changes nothing.
  void configure(Settings settings);

  /// `[{"handle", "status", "online"}]`, newest first.
  std::string users() const;
  /// The instance's `GET /api/profile`, or `/api/ai-profile`.
  std::string profile(std::string_view handle, bool ai);
  /// Delivers `{"text", "from": {"handle", "displayName"?}}`; gives the receiver's answer, {"ok":true} for an empty
  /// one. An instance sends as itself, whatever it says. Throws Error(PermissionDenied) when "from.handle" is not the
  /// caller's.
  std::string send(std::string_view handle, std::string_view body, const Caller &caller);

  std::size_t inFlight() const { return places_.inAll(); }

private:
  void checkSender(const std::string &from, const Caller &caller) const;
  std::string exchange(std::string_view handle, const std::vector<std::string> &urls,
                       const http::ClientRequest &request, const Settings &settings);
  std::string fetchFirst(const std::vector<std::string> &urls, http::ClientRequest request, const Settings &settings);
  Settings settings() const;

  const OrchestratorClient orchestrator_;
  const Observer observer_;
  InFlight places_;
  /// Keeps no connections: the address of an instance that stops may pass to another.
  http::HttpClient client_;
  mutable std::mutex mutex_;
  Settings settings_;
};

} // namespace matrixos::social
