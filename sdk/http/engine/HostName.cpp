#include "HostName.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

namespace matrixos::http {

namespace {

constexpr std::int64_t kLeastLifeMs = 1'000;
constexpr std::int64_t kMostLifeMs = 3'600'000;
constexpr std::int64_t kKeptMs = 3'600'000; // a good answer, beyond its life
constexpr std::int64_t kRetryMs = 5'000;
constexpr std::int64_t kPatienceMs = 1'000; // then a lapsed answer is better than none
constexpr std::int64_t kLostMs = 60'000;    // a question that is still open by then will not be answered
constexpr std::size_t kMostPlaces = 16;

std::uint64_t nextId() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::shared_ptr<const HostAnswer> failed(const char *reason) {
  return std::make_shared<HostAnswer>(HostAnswer{{}, reason});
}

} // namespace

std::shared_ptr<HostName> HostName::parse(std::string_view text, std::shared_ptr<Resolver> resolver, Clock clock) {
  if (!clock) clock = [] { return monotonicNanos() / 1'000'000; };
  const std::size_t colon = text.rfind(':');
  const std::string_view name = text.substr(0, colon == std::string_view::npos ? text.size() : colon);
  const bool isName = !name.empty() && name.front() != '[' && name.find_first_not_of("0123456789.") != name.npos;
  // Also checks the port.
  const Address address = Address::parse(isName ? "0.0.0.0" + std::string(text.substr(name.size())) : text);
  if (name.size() > 253 || name.find_first_of(std::string_view(" \t\r\n/@?#:\0", 10)) != name.npos) {
    if (isName) throw Error(Status::InvalidArgument, "\"" + std::string(text) + "\" is no host name with a port");
  }
  std::shared_ptr<HostName> made(
      new HostName(std::string(name), address.port(), std::move(resolver), std::move(clock)));
  if (!isName) {
    made->answer_ = std::make_shared<HostAnswer>(HostAnswer{{{address, nextId()}}, ""});
    made->refreshAt_ = made->freshUntil_ = INT64_MAX;
  }
  return made;
}

HostName::HostName(std::string name, std::uint16_t port, std::shared_ptr<Resolver> resolver, Clock clock)
    : name_(std::move(name)), port_(port), resolver_(std::move(resolver)), clock_(std::move(clock)) {}

bool HostName::isAsking(std::int64_t now) const noexcept {
  return askedAt_ != 0 && now - askedAt_ < kLostMs;
}

HostName::Answer HostName::lastGood(std::int64_t now) const noexcept {
  return answer_ && (freshUntil_ == INT64_MAX || now - freshUntil_ < kKeptMs) ? answer_ : nullptr;
}

HostName::Answer HostName::find() {
  Answer answer;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = clock_();
    if (answer_ && now < refreshAt_) return answer_;
    const Answer good = lastGood(now);
    const bool isFresh = good && now < freshUntil_;
    if (now < retryAt_) return good ? good : failed(failure_);
    if (isAsking(now)) return isFresh || now - askedAt_ >= kPatienceMs ? good : nullptr;
    if (!isFresh) return nullptr; // wait() asks
    askedAt_ = now;
    answer = good;
  }
  ask();
  return answer;
}

void HostName::wait(Then then) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(then));
    const std::int64_t now = clock_();
    if (isAsking(now)) return;
    askedAt_ = now;
  }
  ask();
}

HostName::Answer HostName::settle() {
  const std::lock_guard lock(mutex_);
  Answer good = lastGood(clock_());
  return good ? good : failed("the upstream's name was not resolved in time");
}

void HostName::ask() {
  resolver_->resolve(name_, [weak = weak_from_this()](const Resolution &resolution) {
    if (const auto self = weak.lock()) self->answered(resolution);
  });
}

void HostName::answered(const Resolution &resolution) {
  std::vector<Then> waiting;
  Answer answer;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = clock_();
    askedAt_ = 0;
    if (!resolution.addresses.empty()) {
      accept(resolution, now);
    } else {
      if (resolution.definite) answer_ = nullptr;
      failure_ = resolution.failure;
      retryAt_ = now + kRetryMs;
    }
    answer = lastGood(now);
    if (!answer) answer = failed(failure_);
    waiting.swap(waiting_);
  }
  for (const Then &then : waiting)
    then(answer);
}

void HostName::accept(const Resolution &resolution, std::int64_t now) {
  auto next = std::make_shared<HostAnswer>();
  for (const Address &found : resolution.addresses) {
    if (next->places.size() == kMostPlaces) break;
    HostAnswer::Place place{found.withPort(port_), 0};
    const auto isSame = [&](const HostAnswer::Place &other) { return other.address == place.address; };
    if (std::any_of(next->places.begin(), next->places.end(), isSame)) continue;
    if (answer_) {
      const auto known = std::find_if(answer_->places.begin(), answer_->places.end(), isSame);
      if (known != answer_->places.end()) place.id = known->id;
    }
    if (place.id == 0) place.id = nextId();
    next->places.push_back(place);
  }
  answer_ = std::move(next);
  const std::int64_t seconds = std::clamp<std::int64_t>(resolution.lifetime.count(), 0, kMostLifeMs / 1000);
  const std::int64_t life = std::max(seconds * 1000, kLeastLifeMs);
  refreshAt_ = now + life * 4 / 5;
  freshUntil_ = now + life;
  retryAt_ = 0;
  failure_ = "";
}

} // namespace matrixos::http
