/// Where calls go: servers and keys, in the order in which they are tried.
#pragma once

#include "Breaker.h"
#include "KeyList.h"

#include <http/engine/HostName.h>
#include <http/engine/TlsPeer.h>
#include <http/engine/Upstream.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// A server. Immutable.
struct Endpoint {
  /// "https://host[:port][/prefix]" or http://. Throws matrixos::Error(InvalidArgument).
  Endpoint(std::string_view url, http::TlsClientContext &tls, const std::shared_ptr<http::Resolver> &resolver);

  std::string authority; ///< what its Host field says
  std::string prefix;    ///< of all paths; empty or without a slash at its end
  std::shared_ptr<const http::Upstream> upstream;
};

/// What became of one attempt.
enum class Verdict : std::uint8_t {
  Served,
  Unreached, ///< there was no connection: the server's fault, whoever called
  Denied,    ///< 401: the key is not good
  Refused,   ///< 403, 429, 5xx, or no answer: the fault of this key with this model
};

/// Finds the place for the next attempt, and remembers how the last ones went. What a caller can bring about by the
/// model that he asks for counts against that model alone, so that nobody takes a place from others. Thread-safe.
class Endpoints {
public:
  /// Throws matrixos::Error(InvalidArgument).
  Endpoints(const std::vector<std::string> &urls, std::shared_ptr<const KeyList> keys, http::TlsClientContext &tls,
            const std::shared_ptr<http::Resolver> &resolver);

  struct Place {
    std::uint32_t endpoint = 0;
    std::uint32_t key = 0;
  };
  /// One call's way through the places. `ownKey`: with a key of the caller's, so that ours do not matter.
  struct Tour {
    std::string model;
    bool ownKey = false;
    std::uint32_t first = 0;   ///< the key that is tried first
    std::vector<bool> tried{}; ///< by place; empty before the first attempt
    std::optional<Place> at{}; ///< the present attempt
  };

  /// The next place of the tour; false when none is left. `nowMs`: see Breaker.
  bool next(Tour &tour, std::int64_t nowMs);
  /// Whether next() would find one.
  bool hasNext(const Tour &tour, std::int64_t nowMs) const;
  /// How the present attempt ended. `pauseMs`: for how long the place asks to be left alone; 0: it does not.
  void note(Tour &tour, Verdict verdict, std::int64_t pauseMs, std::int64_t nowMs);
  /// How long until a place of this tour may be tried again; 0: one may be now.
  std::int64_t waitMs(const Tour &tour, std::int64_t nowMs) const;

  const Endpoint &endpoint(const Place &place) const noexcept { return endpoints_[place.endpoint]; }
  std::string_view key(const Place &place) const noexcept { return keys_->at(place.key); }

  /// Servers and keys that calls are kept from.
  struct State {
    std::string authority;
    bool open = false;        ///< the server
    std::size_t openKeys = 0; ///< keys there
    std::size_t pauses = 0;   ///< keys with a model there
  };
  std::vector<State> states(std::int64_t nowMs) const;

private:
  /// Of one key at one server.
  struct KeyState {
    Breaker denied;
    std::map<std::string, Breaker, std::less<>> models;
  };
  static constexpr std::size_t kMostModels = 64;

  std::size_t indexOf(const Place &place) const noexcept { return place.endpoint * keysPerEndpoint() + place.key; }
  std::size_t keysPerEndpoint() const noexcept { return keys_->size() == 0 ? 1 : keys_->size(); }
  std::optional<Place> find(const Tour &tour, std::int64_t nowMs) const;
  std::int64_t openUntil(const Tour &tour, const Place &place) const noexcept;
  Breaker &modelBreaker(KeyState &state, const std::string &model);

  const std::shared_ptr<const KeyList> keys_;
  std::vector<Endpoint> endpoints_;
  mutable std::mutex mutex_;
  std::vector<Breaker> reach_;    // by endpoint
  std::vector<KeyState> byPlace_; // see indexOf()
  std::uint32_t turn_ = 0;
};

} // namespace matrixos::gateway
