#include "Endpoints.h"

#include <matrixos/status.hpp>

#include <http/codec/Authority.h>

#include <algorithm>
#include <atomic>

namespace matrixos::gateway {

namespace {

/// See Upstream::Candidate::key: never the same twice.
std::uint64_t freshPoolKey() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

} // namespace

Endpoint::Endpoint(std::string_view url, http::TlsClientContext &tls, const std::shared_ptr<http::Resolver> &resolver) {
  constexpr std::string_view kTls = "https://";
  constexpr std::string_view kPlain = "http://";
  const bool encrypted = url.substr(0, kTls.size()) == kTls;
  if (!encrypted && url.substr(0, kPlain.size()) != kPlain)
    throw Error(Status::InvalidArgument, "an upstream has to begin with https:// or http://");
  const std::string_view rest = url.substr(encrypted ? kTls.size() : kPlain.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  authority = rest.substr(0, slash);
  prefix = rest.substr(slash);
  while (!prefix.empty() && prefix.back() == '/')
    prefix.pop_back();
  const auto parsed = http::Authority::parse(authority, http::Authority::defaultPort(encrypted ? "https" : "http"));
  if (!parsed || prefix.find_first_of("?#") != std::string::npos)
    throw Error(Status::InvalidArgument,
                "\"" + std::string(url) + "\" is no upstream; write https://host or https://host:port/path");
  const std::string_view name = parsed->name;
  const bool bracketed = name.size() > 2 && name.front() == '[';

  http::Upstream::Candidate candidate;
  candidate.key = freshPoolKey();
  candidate.host = http::HostName::parse(std::string(name) + ":" + std::to_string(parsed->port), resolver);
  if (encrypted) candidate.tls = tls.peer(bracketed ? name.substr(1, name.size() - 2) : name);
  http::Upstream to;
  to.candidates.push_back(std::move(candidate));
  to.repeatable = true; // a client's own library repeats a call that got no answer, too
  upstream = std::make_shared<const http::Upstream>(std::move(to));
}

Endpoints::Endpoints(const std::vector<std::string> &urls, std::shared_ptr<const KeyList> keys,
                     http::TlsClientContext &tls, const std::shared_ptr<http::Resolver> &resolver)
    : keys_(std::move(keys)) {
  for (const std::string &url : urls)
    endpoints_.emplace_back(url, tls, resolver);
  reach_.resize(endpoints_.size());
  byPlace_.resize(endpoints_.size() * keysPerEndpoint());
}

std::int64_t Endpoints::openUntil(const Tour &tour, const Place &place) const noexcept {
  std::int64_t until = reach_[place.endpoint].openUntilMs();
  if (tour.ownKey) return until;
  const KeyState &state = byPlace_[indexOf(place)];
  until = std::max(until, state.denied.openUntilMs());
  const auto model = state.models.find(tour.model);
  return model == state.models.end() ? until : std::max(until, model->second.openUntilMs());
}

std::optional<Endpoints::Place> Endpoints::find(const Tour &tour, std::int64_t nowMs) const {
  if (!tour.ownKey && keys_->empty()) return std::nullopt;
  const auto count = static_cast<std::uint32_t>(tour.ownKey ? 1 : keys_->size());
  for (std::uint32_t endpoint = 0; endpoint < endpoints_.size(); ++endpoint) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const Place place{endpoint, tour.ownKey ? 0 : (tour.first + i) % count};
      const bool tried = !tour.tried.empty() && tour.tried[indexOf(place)];
      if (!tried && openUntil(tour, place) <= nowMs) return place;
    }
  }
  return std::nullopt;
}

bool Endpoints::next(Tour &tour, std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  if (tour.tried.empty()) {
    tour.tried.resize(byPlace_.size());
    tour.first = tour.ownKey || keys_->empty() ? 0 : static_cast<std::uint32_t>(turn_++ % keys_->size());
  }
  tour.at = find(tour, nowMs);
  if (!tour.at) return false;
  tour.tried[indexOf(*tour.at)] = true;
  reach_[tour.at->endpoint].used(nowMs);
  if (tour.ownKey) return true;
  KeyState &state = byPlace_[indexOf(*tour.at)];
  state.denied.used(nowMs);
  if (const auto model = state.models.find(tour.model); model != state.models.end()) model->second.used(nowMs);
  return true;
}

bool Endpoints::hasNext(const Tour &tour, std::int64_t nowMs) const {
  const std::lock_guard lock(mutex_);
  return find(tour, nowMs).has_value();
}

/// Models are named by callers, so there is a limit; the one that may be tried again soonest makes room.
Breaker &Endpoints::modelBreaker(KeyState &state, const std::string &model) {
  auto &models = state.models;
  if (models.size() >= kMostModels && models.find(model) == models.end()) {
    models.erase(std::min_element(models.begin(), models.end(), [](const auto &a, const auto &b) {
      return a.second.openUntilMs() < b.second.openUntilMs();
    }));
  }
  return models[model];
}

void Endpoints::note(Tour &tour, Verdict verdict, std::int64_t pauseMs, std::int64_t nowMs) {
  if (!tour.at) return;
  const Place place = *tour.at;
  const std::lock_guard lock(mutex_);
  if (verdict == Verdict::Unreached) {
    reach_[place.endpoint].failed(nowMs, pauseMs);
    for (std::uint32_t key = 0; key < keysPerEndpoint(); ++key)
      tour.tried[indexOf({place.endpoint, key})] = true; // another key does not help
    return;
  }
  reach_[place.endpoint].succeeded();
  if (tour.ownKey) return;
  KeyState &state = byPlace_[indexOf(place)];
  if (verdict == Verdict::Denied) return state.denied.failed(nowMs, pauseMs);
  state.denied.succeeded();
  if (verdict == Verdict::Refused) return modelBreaker(state, tour.model).failed(nowMs, pauseMs);
  if (const auto model = state.models.find(tour.model); model != state.models.end()) state.models.erase(model);
}

std::int64_t Endpoints::waitMs(const Tour &tour, std::int64_t nowMs) const {
  const std::lock_guard lock(mutex_);
  std::int64_t soonest = INT64_MAX;
  const auto count = static_cast<std::uint32_t>(tour.ownKey ? 1 : keys_->size());
  for (std::uint32_t endpoint = 0; endpoint < endpoints_.size(); ++endpoint) {
    for (std::uint32_t key = 0; key < count; ++key)
      soonest = std::min(soonest, openUntil(tour, {endpoint, key}));
  }
  return soonest == INT64_MAX ? 0 : std::max<std::int64_t>(0, soonest - nowMs);
}

std::vector<Endpoints::State> Endpoints::states(std::int64_t nowMs) const {
  const std::lock_guard lock(mutex_);
  std::vector<State> out;
  for (std::uint32_t endpoint = 0; endpoint < endpoints_.size(); ++endpoint) {
    State state{endpoints_[endpoint].authority, reach_[endpoint].isOpen(nowMs)};
    for (std::uint32_t key = 0; key < keysPerEndpoint(); ++key) {
      const KeyState &of = byPlace_[indexOf({endpoint, key})];
      state.openKeys += of.denied.isOpen(nowMs) ? 1U : 0U;
      for (const auto &[model, breaker] : of.models)
        state.pauses += breaker.isOpen(nowMs) ? 1U : 0U;
    }
    out.push_back(std::move(state));
  }
  return out;
}

} // namespace matrixos::gateway
