#include "ProxySession.h"

#include "ErrorPage.h"
#include "WaitingPage.h"

#include <matrixos/call.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/wake_answer.hpp>

#include <http/codec/Grammar.h>
#include <http/pages/Page.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace matrixos::proxy {

namespace {

constexpr std::size_t kMostPath = 512; // of the log
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

/// Brings a verdict from any thread back to the loop.
class ProxySession::Pending final : public Later {
public:
  Pending(ProxySession &session, http::ClientExchange &exchange) : session_(session), exchange_(exchange) {}

  std::function<void(PolicyVerdict)> promise() override {
    ticket_ = exchange_.hold(session_.options().wakeDeadline);
    return [weak = exchange_.loop().weak_from_this(), ticket = ticket_, session = &session_](PolicyVerdict verdict) {
      // The session lives as long as the held exchange does.
      const auto loop = weak.lock();
      if (loop)
        loop->resume(ticket, [session, verdict](http::ClientExchange &held) { session->applyVerdict(held, verdict); });
    };
  }

private:
  ProxySession &session_;
  http::ClientExchange &exchange_;
  std::uint64_t ticket_ = 0;
};

ProxySession::~ProxySession() {
  stopWaiting();
  leaveThrottle();
}

// ------------------------------------------------------------------------------------------------- route and policy

void ProxySession::onRequest(http::ClientExchange &exchange) {
  const http::RequestHead &head = exchange.request();
  hungUp_ = eventStream_ = false;
  asked_ = 0;
  route_.reset();
  serverTiming_.clear();
  decision_ = shared_.router.route(head);
  loop_.makeId(client_.requestId);
  if (generation_ != loop_.settings->generation) {
    // Whom to trust may have changed under a connection that goes on.
    generation_ = loop_.settings->generation;
    peer_ = loop_.settings->headers.peer(exchange.peer());
  }
  loop_.settings->headers.describe(head, peer_, exchange.isEncrypted(), client_);
  const bool below = decision_.byPath || decision_.kind == RoutingDecision::Kind::UnknownHandle;
  if (below && options().pathMode == PathMode::Off) return fail(exchange, 404, "there is nothing at this path");
  switch (decision_.kind) {
  case RoutingDecision::Kind::Misdirected:
    return fail(exchange, 421, "this server does not answer for that host name");
  case RoutingDecision::Kind::Domain:
    return http::isNavigation(head) ? showFrontDoor(exchange)
                                    : fail(exchange, 421, "this server does not answer for that host name");
  case RoutingDecision::Kind::UnknownHandle:
    return fail(exchange, 404, "there is no such handle");
  case RoutingDecision::Kind::Instance:
    route_ = loop_.routes.find(decision_.handle);
    if (route_ && goesHome(head)) return sendHome(exchange);
    if (!route_ && !shared_.routes.isSynced())
      return fail(exchange, 503, "the platform is still starting; try again", 1);
    break;
  case RoutingDecision::Kind::Api:
    if (head.path() == "/" && http::isNavigation(head)) return showFrontDoor(exchange);
    break;
  }
  if (!loop_.settings->origins.admits(head, client_.proto, decision_.kind == RoutingDecision::Kind::Api)) {
    return fail(exchange, 403, "a page of another site may not do this; [proxy] allowed_origins says which may");
  }
  Pending pending(*this, exchange);
  const PolicyVerdict verdict = shared_.policy.check(head, decision_, pending);
  if (verdict != PolicyVerdict::Pending) applyVerdict(exchange, verdict);
}

void ProxySession::sendHome(http::ClientExchange &exchange) {
  http::LocalResponse response;
  response.status = 307;
  response.fields = {{"Location", shared_.router.ownAddress(exchange.request(), decision_, client_.proto)},
                     {"Cache-Control", "no-store"},
                     {"X-Request-Id", client_.requestId}};
  exchange.respond(std::move(response));
}

/// A navigation below a path of the platform's hosts.
bool ProxySession::goesHome(const http::RequestHead &head) const noexcept {
  return decision_.byPath && options().pathMode == PathMode::Redirect && http::isNavigation(head);
}

void ProxySession::showFrontDoor(http::ClientExchange &exchange) {
  http::LocalResponse page = frontDoor(shared_.router.hosts().instanceHost(exchange.request().host, "name"));
  page.fields.emplace_back("X-Request-Id", client_.requestId);
  exchange.respond(std::move(page));
}

void ProxySession::applyVerdict(http::ClientExchange &exchange, PolicyVerdict verdict) {
  // The same for a handle that nobody has: who may not pass does not learn who is here.
  if (verdict != PolicyVerdict::Allow) {
    return goesHome(exchange.request()) ? sendHome(exchange) : fail(exchange, 403, "you may not do this");
  }
  if (decision_.kind == RoutingDecision::Kind::Instance && !route_)
    return fail(exchange, 404, "there is no such handle");
  // Before anything is started for it.
  if (exchange.request().body.length > maxBody()) return fail(exchange, 413, "the request body is too large");
  if (decision_.kind == RoutingDecision::Kind::Instance) return toInstance(exchange);
  if (!shared_.api) return fail(exchange, 503, "the API is not served here");
  forwardTo(exchange, shared_.api);
}

const std::shared_ptr<const http::Upstream> &ProxySession::upstream() const noexcept {
  return decision_.gateway ? route_->gateway : route_->shell;
}

bool ProxySession::takePlace(const http::RequestHead &head) {
  const auto counter = head.upgradeWebSocket ? &ActivityCell::webSockets : &ActivityCell::requests;
  const std::size_t cap = head.upgradeWebSocket ? options().webSocketsPerInstance : options().requestsPerInstance;
  if (!place_.enter(route_->activity, counter, std::min(cap, shareOf(((*route_->activity).*counter).load()))))
    return false;
  setBusy(true);
  return true;
}

/// However many instances are flooded, each leaves places for those that are not: it may have as many as twice what is
/// left of all (the dynamic thresholds of Choudhury and Hahne, https://doi.org/10.1109/90.664262).
std::size_t ProxySession::shareOf(std::size_t own) const noexcept {
  constexpr std::size_t kPerFreePlace = 2;
  constexpr std::size_t kFew = 64;  // of so many instances each has its part without being looked at
  constexpr std::size_t kKept = 16; // one place in so many is kept for those few
  const std::size_t places = options().server.maxConnections;
  const std::size_t few = std::max<std::size_t>(1, places / kFew);
  const std::size_t all = places - places / kKept;
  if (own < few) return few;
  std::size_t busy = 0;
  for (const BusyCount &loop : shared_.busy)
    busy += loop.value.load(std::memory_order_relaxed);
  return std::max(few, busy < all ? kPerFreePlace * (all - busy) : 0);
}

/// No other thread writes it.
void ProxySession::setBusy(bool busy) noexcept {
  if (busy == std::exchange(busy_, busy)) return;
  auto &value = loop_.busy.value;
  const std::size_t now = value.load(std::memory_order_relaxed);
  value.store(busy ? now + 1 : now - 1, std::memory_order_relaxed);
}

/// As long as others wait until it answers it may run without listening yet, unless it has answered already.
bool ProxySession::isReady() const noexcept {
  return route_->activity->waiters.load(std::memory_order_relaxed) == 0 ||
         route_->activity->ready(decision_.gateway).load(std::memory_order_relaxed) == upstream()->candidates[0].key;
}

void ProxySession::noteReady(bool ready) const noexcept {
  std::atomic<std::uint64_t> &noted = route_->activity->ready(decision_.gateway);
  const std::uint64_t key = ready && upstream() ? upstream()->candidates[0].key : 0;
  // Read first: what all loops only read stays in the caches of all.
  if (noted.load(std::memory_order_relaxed) != key) noted.store(key, std::memory_order_relaxed);
}

void ProxySession::toInstance(http::ClientExchange &exchange) {
  if (!takePlace(exchange.request())) return tellToComeAgain(exchange, "this instance has too much to do right now", 1);
  const bool runs = route_->running() && upstream();
  looks_ = decision_.target == kWaitingPath;
  if (!runs && leaveAsleep(exchange)) return;
  loop_.telemetry.used(route_->activity, 1);
  if (runs && isReady()) return looks_ ? sayAwake(exchange) : forwardTo(exchange, upstream());
  wake(exchange);
}

// ------------------------------------------------------------------------------------------------------------ wake

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

// --------------------------------------------------------------------------------------------------------- forward

void ProxySession::forwardTo(http::ClientExchange &exchange, const std::shared_ptr<const http::Upstream> &upstream) {
  const bool tenantBody = route_ && exchange.request().body.kind != http::BodyKind::None;
  exchange.forward(upstream, maxBody(), tenantBody ? this : nullptr);
}

bool ProxySession::isCurrent(http::ClientExchange &, const http::Upstream &to) {
  if (decision_.kind != RoutingDecision::Kind::Instance) return true;
  const auto now = loop_.routes.find(decision_.handle);
  return now && (decision_.gateway ? now->gateway : now->shell).get() == &to;
}

/// The instance moved, stopped or went while its old address was being connected to.
void ProxySession::followRoute(http::ClientExchange &exchange) {
  route_ = loop_.routes.find(decision_.handle);
  if (!route_) return fail(exchange, 404, "there is no such handle");
  if (route_->running() && upstream()) return forwardTo(exchange, upstream());
  asked_ == 0 ? wake(exchange) : waitAgain(exchange, 503, "this instance was stopped");
}

void ProxySession::onForwardFailed(http::ClientExchange &exchange, http::ForwardFailure failure) {
  const bool api = decision_.kind == RoutingDecision::Kind::Api;
  const http::RequestHead &head = exchange.request();
  if (!api && failure != http::ForwardFailure::BadResponse) noteReady(false);
  switch (failure) {
  case http::ForwardFailure::Unreachable:
  case http::ForwardFailure::ConnectTimeout:
    // It may run without listening yet, or be about to run again.
    if (!api) return waitAgain(exchange, 502, "the instance cannot be reached");
    break;
  case http::ForwardFailure::ClosedEarly:
    // An engine's port proxy accepts before the application listens, and then hangs up. Asking for readiness is safe
    // only where sending twice is.
    if (!api && !std::exchange(hungUp_, true) && http::isIdempotent(head.method) && head.body.isEmpty()) {
      return waitAgain(exchange, 502, "the instance cannot be reached");
    }
    break;
  case http::ForwardFailure::Timeout:
    return fail(exchange, 504, api ? "the API took too long" : "the instance took too long");
  case http::ForwardFailure::Moved:
    return followRoute(exchange);
  case http::ForwardFailure::BadResponse:
  case http::ForwardFailure::NameUnknown:
  case http::ForwardFailure::Untrusted:
    break;
  }
  if (api) return fail(exchange, 503, "the API is not available", 1);
  fail(exchange, 502,
       failure == http::ForwardFailure::BadResponse ? "the instance gave a malformed answer"
                                                    : "the instance cannot be reached");
}

void ProxySession::writeRequest(http::ClientExchange &exchange, http::HeadWriter &writer) {
  const http::RequestHead &head = exchange.request();
  if (decision_.slashMissing)
    writer.requestLine(head.method, "/" + std::string(decision_.target));
  else
    writer.requestLine(head.method, decision_.target);
  loop_.settings->headers.writeRequest(head, client_, decision_.kind == RoutingDecision::Kind::Instance, writer);
}

void ProxySession::writeResponse(http::ClientExchange &exchange, http::ResponseHead &head, http::HeadWriter &writer) {
  const bool tenant = decision_.kind == RoutingDecision::Kind::Instance;
  if (tenant) noteReady(true);
  if (throttled_ && !head.isInterim()) leaveThrottle();
  eventStream_ =
      tenant && http::sameText(head.fields.value(http::Name::ContentType).substr(0, 17), "text/event-stream");
  const Answerer from = !tenant ? Answerer::Api : decision_.byPath ? Answerer::InstanceByPath : Answerer::Instance;
  loop_.settings->headers.writeResponse(head, from, exchange.request().host, client_.requestId, writer);
  if (serverTiming_.empty() || head.isInterim()) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - wokenAt_);
  writer.field("Server-Timing", {serverTiming_, ", first-byte;dur=", std::to_string(took.count())});
}

void ProxySession::fail(http::ClientExchange &exchange, int status, std::string_view sentence, int retryAfter) {
  http::LocalResponse response = errorResponse(
      http::wantsPage(exchange.request()), {status, std::string(sentence), {}, retryAfter * 1000}, client_.requestId);
  exchange.respond(std::move(response));
}

void ProxySession::tellToComeAgain(http::ClientExchange &exchange, std::string sentence, int seconds) {
  sentence.append("; try again in ").append(std::to_string(seconds)).append(seconds == 1 ? " second" : " seconds");
  fail(exchange, 503, sentence, seconds);
}

// ----------------------------------------------------------------------------------------------- use, log, metrics

void ProxySession::onResponseBytes(http::ClientExchange &, std::size_t) {
  if (!route_) return;
  eventStream_ ? loop_.telemetry.used(route_->activity, 1) : loop_.telemetry.moved(route_->activity);
}

void ProxySession::onFrames(http::ClientExchange &, std::uint64_t frames) {
  if (route_) loop_.telemetry.used(route_->activity, frames);
}

void ProxySession::noteRequest(const http::RequestHead &head) {
  method_ = head.method;
  path_ = head.path().substr(0, kMostPath);
}

RouteClass ProxySession::routeClass() const noexcept {
  switch (decision_.kind) {
  case RoutingDecision::Kind::Api:
    return RouteClass::Api;
  case RoutingDecision::Kind::Instance:
    // Names that nobody has must not look like traffic to somebody.
    if (!route_) return RouteClass::None;
    return decision_.gateway ? RouteClass::Gateway : RouteClass::Shell;
  case RoutingDecision::Kind::UnknownHandle:
  case RoutingDecision::Kind::Domain:
  case RoutingDecision::Kind::Misdirected:
    break;
  }
  return RouteClass::None;
}

void ProxySession::onFinished(http::ClientExchange &exchange, const http::Summary &summary) {
  stopWaiting();
  leaveThrottle();
  const RequestOutcome outcome{routeClass(), summary.status, summary.bytesIn, summary.bytesOut, summary.tookMicros};
  loop_.telemetry.finished(outcome);
  if (loop_.telemetry.logs()) {
    if (!summary.upgraded) noteRequest(exchange.request());
    logRequest(outcome, summary);
  }
  place_.leave();
  setBusy(false);
  route_.reset();
}

void ProxySession::logRequest(const RequestOutcome &outcome, const http::Summary &summary) {
  AccessLogLine record;
  record.atMs = wallClockMs();
  if (route_) record.handle = decision_.handle;
  record.method = std::move(method_);
  record.path = std::move(path_);
  record.peer = client_.ip;
  record.requestId = client_.requestId;
  record.outcome = outcome;
  record.upgraded = summary.upgraded;
  record.woken = asked_ != 0;
  record.reason = summary.reason;
  loop_.telemetry.log(std::move(record));
}

http::LocalResponse ProxySession::refusal(const http::ParseError &error) {
  std::string sentence = error.reason;
  const ProxyOptions &now = options();
  switch (error.limit) {
  case http::Limit::None:
    break;
  case http::Limit::HeadBytes:
    sentence += "; max_header allows " + std::to_string(now.server.request.bytes) + " bytes";
    break;
  case http::Limit::Fields:
    sentence += "; max_header_fields allows " + std::to_string(now.server.request.fields);
    break;
  case http::Limit::Target:
    sentence += "; max_uri allows " + std::to_string(now.server.request.target) + " bytes";
    break;
  }
  return errorResponse(false, {error.status, std::move(sentence), {}, 0}, client_.requestId);
}

/// Whether the platform is well, and what its operator does about that.
bool ProxySession::isVital(const http::RequestHead &head) {
  if (shared_.router.route(head).kind != RoutingDecision::Kind::Api) return false;
  return head.path() == "/health" || head.path() == "/ready" || loop_.settings->headers.knowsSecret(head);
}

void ProxySession::onRefused(int status, const char *reason) {
  loop_.makeId(client_.requestId);
  const RequestOutcome outcome{RouteClass::None, status, 0, 0, 0};
  loop_.telemetry.finished(outcome);
  if (!loop_.telemetry.logs()) return;
  AccessLogLine record;
  record.atMs = wallClockMs();
  record.peer = peer_.ip;
  record.requestId = client_.requestId;
  record.outcome = outcome;
  record.reason = reason;
  loop_.telemetry.log(std::move(record));
}

} // namespace matrixos::proxy
