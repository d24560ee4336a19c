// How a request waits until its instance runs.
#include "ProxySession.h"
#include "WaitingPage.h"

#include <matrixos/call.hpp>
#include <matrixos/wake_answer.hpp>

#include <http/codec/Grammar.h>
#include <http/pages/Page.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace matrixos::proxy {

namespace {

constexpr int kRestartSeconds = 2;
constexpr int kReload = 1;    // seconds between two looks at a start
constexpr int kComeAgain = 5; // seconds, for whom there is no place
constexpr std::int64_t kMostAdvice = 300;
/// An instance that answers whoever looks and refuses who then comes cannot be reached, whatever it says.
constexpr unsigned kMostAsked = 8;

/// "queue;dur=1, engine;dur=230, ready;dur=40" from the phases of a wake.
std::string timingOf(const WakePhases &phases) {
  return "queue;dur=" + std::to_string(phases.queueMs) + ", engine;dur=" + std::to_string(phases.engineMs) +
         ", ready;dur=" + std::to_string(phases.readyMs);
}

/// Seconds after which a start that failed may be tried again.
int adviceOf(const WakeResult &result) {
  if (result.retryAfterMs <= 0) return kComeAgain;
  return static_cast<int>(std::min((result.retryAfterMs + 999) / 1000, kMostAdvice));
}

/// What an EventSource asks for (HTML Standard §9.2), and nobody who goes to a page.
bool isEventStream(const http::RequestHead &head) {
  if (head.method != "GET" || http::isNavigation(head)) return false;
  return std::any_of(head.fields.begin(), head.fields.end(), [](const http::Field &field) {
    return http::sameText(field.name, "Last-Event-ID") ||
           (field.id == http::Name::Accept && http::sameText(field.value.substr(0, 17), "text/event-stream"));
  });
}

} // namespace

/// An event stream that was cut by the stop opens again by itself, whether or not somebody looks at its page: that is
/// no reason to start the instance again. True when the request was answered so.
bool ProxySession::leaveAsleep(http::ClientExchange &exchange) {
  const ActivityCell &cell = *route_->activity;
  const auto since = std::chrono::nanoseconds{monotonicNanos() - cell.stoppedNanos.load(std::memory_order_relaxed)};
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(options().reconnectBackoff - since).count();
  // Once somebody else has woken it, everybody may wait.
  const bool asleep = route_->status == InstanceStatus::Stopped && route_->phase != InstancePhase::Starting;
  if (left <= 0 || !asleep || cell.waiters.load() != 0 || !isEventStream(exchange.request())) return false;
  tellToComeAgain(exchange,
                  "this instance was stopped, and an event stream that opens again by itself does not wake it; "
                  "opening its page does",
                  static_cast<int>(left));
  return true;
}

void ProxySession::wake(http::ClientExchange &exchange) {
  if (shared_.waker == nullptr) return fail(exchange, 503, "this instance is not running", 30);
  if (exchange.loop().draining()) return failStopping(exchange);
  if (route_->status == InstanceStatus::Deleting) return fail(exchange, 404, "there is no such handle");
  if (showsProgress(exchange)) {
    if (const auto failure = shared_.gate->takeFailure(decision_.handle)) return woken(exchange, *failure);
  }
  const WakeGate::Entry entry = shared_.gate->enter(decision_.handle);
  if (entry != WakeGate::Entry::Entered) return turnAway(exchange, entry);
  leaveThrottle();
  waiting_ = true;
  const auto now = std::chrono::steady_clock::now();
  if (asked_++ == 0) {
    loop_.telemetry.woke();
    waitEnds_ = now + options().wakeDeadline;
  }
  // Its time runs on when it waits again.
  const auto deadline =
      std::max(std::chrono::milliseconds{1}, std::chrono::duration_cast<std::chrono::milliseconds>(waitEnds_ - now));
  const std::chrono::milliseconds pageAfter = options().waitingPageAfter;
  pageDue_ = pageAfter < deadline && showsProgress(exchange);
  const std::uint64_t held = exchange.hold(pageDue_ ? pageAfter : deadline);
  claim_ = std::make_shared<WakeClaim>(shared_.gate, route_->activity);
  const std::weak_ptr<http::Loop> weak = exchange.loop().weak_from_this();
  auto done = [weak, held, claim = claim_, this](const WakeResult &result) {
    if (claim->finish()) return claim->leaveBehind(result);
    // `this` lives as long as the held exchange does.
    if (const auto loop = weak.lock())
      loop->resume(held, [this, result](http::ClientExchange &e) { woken(e, result); });
  };
  wakeTicket_ = shared_.waker->ensureRunning(decision_.handle, decision_.gateway ? "gateway" : "shell", deadline,
                                             std::move(done));
}

/// Nobody else can wait now. A browser comes again by itself.
void ProxySession::turnAway(http::ClientExchange &exchange, WakeGate::Entry full) {
  if (showsProgress(exchange)) return showProgress(exchange, kComeAgain);
  const bool one = full == WakeGate::Entry::InstanceFull;
  tellToComeAgain(exchange,
                  one ? "too many requests wait for this instance to start"
                      : "too many requests wait for instances to start",
                  kComeAgain);
}

void ProxySession::woken(http::ClientExchange &exchange, const WakeResult &result) {
  wakeTicket_ = 0;
  stopWaiting();
  switch (result.status) {
  case Status::Ok:
    break;
  case Status::NotFound:
    return fail(exchange, 404, "there is no such handle");
  case Status::DeadlineExceeded:
    return fail(exchange, 504, "the instance did not get ready in time");
  case Status::ResourceExhausted:
    return turnAway(exchange, WakeGate::Entry::HouseFull);
  default:
    return tellToComeAgain(exchange,
                           "the instance could not be started" + (result.ended.empty() ? "" : ": " + result.ended) +
                               (result.reason.empty() ? "" : " (" + result.reason + ")"),
                           adviceOf(result));
  }
  try {
    const WakeAnswer answer = WakeAnswer::read(result.json);
    serverTiming_ = timingOf(answer.phases);
    wokenAt_ = std::chrono::steady_clock::now();
    route_ = loop_.routes.find(decision_.handle);
    // The watch, or whoever waited with us, has nearly always brought the record by now.
    if (route_ && (route_->rev < answer.rev || !route_->running())) {
      shared_.routes.refresh(InstanceRecord::parse(answer.instance));
      route_ = loop_.routes.find(decision_.handle);
    }
  } catch (const std::exception &) {
    return fail(exchange, 502, "the instance was started, but where it listens is not known");
  }
  if (!route_) return fail(exchange, 404, "there is no such handle");
  // It has been stopped, or has moved, since it answered.
  if (!upstream()) return waitAgain(exchange, 502, "the instance runs, but does not listen");
  noteReady(true);
  looks_ ? sayAwake(exchange) : enterThrottle(exchange);
}

/// A browser that goes to a page, or the page that it got and that looks how the start goes.
bool ProxySession::showsProgress(http::ClientExchange &exchange) const {
  return looks_ || http::isNavigation(exchange.request());
}

void ProxySession::sayAwake(http::ClientExchange &exchange) {
  http::LocalResponse response;
  response.status = 204;
  response.fields = {{"Cache-Control", "no-store"}, {"X-Request-Id", client_.requestId}};
  exchange.respond(std::move(response));
}

void ProxySession::enterThrottle(http::ClientExchange &exchange) {
  throttled_ = route_->activity;
  const std::uint64_t held = exchange.hold(StartupThrottle::kPatience);
  const std::weak_ptr<http::Loop> weak = exchange.loop().weak_from_this();
  const bool in = throttled_->throttle.enter(this, [weak, held, this] {
    // `this` lives as long as the held exchange does.
    if (const auto loop = weak.lock()) loop->resume(held, [this](http::ClientExchange &e) { goIn(e); });
  });
  if (in) goIn(exchange);
}

void ProxySession::goIn(http::ClientExchange &exchange) {
  route_ = loop_.routes.find(decision_.handle);
  if (!route_) return fail(exchange, 404, "there is no such handle");
  if (!route_->running() || !upstream()) return waitAgain(exchange, 503, "this instance was stopped");
  forwardTo(exchange, upstream());
}

/// Nothing of the request has been sent, or nothing that may not be sent twice. Whoever starts the instance also knows
/// when it is ready; the answer is for who cannot wait any more.
void ProxySession::waitAgain(http::ClientExchange &exchange, int status, std::string_view sentence) {
  if (shared_.waker == nullptr || asked_ >= kMostAsked) return fail(exchange, status, sentence, status == 503 ? 1 : 0);
  wake(exchange);
}

void ProxySession::leaveThrottle() noexcept {
  if (const auto cell = std::exchange(throttled_, nullptr)) cell->throttle.leave(this);
}

void ProxySession::stopWaiting() noexcept {
  if (wakeTicket_ != 0) shared_.waker->forget(std::exchange(wakeTicket_, 0));
  if (std::exchange(waiting_, false)) claim_->leave();
  claim_.reset();
}

/// The page asks again, and that the wake goes on in between is the business of the first request that is left behind.
void ProxySession::showProgress(http::ClientExchange &exchange, int reloadSeconds) {
  WakeProgress progress;
  const WakeGate::Standing standing = shared_.gate->standing(decision_.handle);
  progress.ahead = standing.ahead;
  progress.since = std::chrono::duration_cast<std::chrono::milliseconds>(standing.since);
  const auto route = loop_.routes.find(decision_.handle);
  if (route && route->running())
    progress.phase = WakeProgress::Phase::Ready;
  else if (route && (route->phase == InstancePhase::Starting || route->status == InstanceStatus::Provisioning))
    progress.phase = WakeProgress::Phase::Starting;
  if (waiting_ && shared_.gate->leaveBehind(decision_.handle, wakeTicket_) && claim_->abandon()) {
    waiting_ = false;
    wakeTicket_ = 0;
  }
  stopWaiting();
  http::LocalResponse page =
      waitingPage(decision_.handle, decision_.byPath ? "/proxy/" + decision_.handle : "", progress, reloadSeconds);
  page.fields.emplace_back("X-Request-Id", client_.requestId);
  exchange.respond(std::move(page));
}

void ProxySession::onHoldTimeout(http::ClientExchange &exchange) {
  if (waiting_ && pageDue_) return showProgress(exchange, kReload);
  if (throttled_ && std::chrono::steady_clock::now() < waitEnds_) {
    const std::chrono::milliseconds more = throttled_->throttle.enterAnyway(this);
    if (more.count() == 0) return goIn(exchange);
    exchange.hold(more);
    return;
  }
  stopWaiting();
  fail(exchange, 504, "the instance did not get ready in time");
}

void ProxySession::onDrain(http::ClientExchange &exchange) {
  stopWaiting();
  failStopping(exchange);
}

void ProxySession::failStopping(http::ClientExchange &exchange) {
  fail(exchange, 503, "the platform restarts; try again", kRestartSeconds);
}

} // namespace matrixos::proxy
