#include "ProxySession.h"

#include "AllowedOrigins.h"
#include "ErrorPage.h"
#include "WaitingPage.h"

#include <matrixos/text/time.hpp>

#include <http/codec/Grammar.h>
#include <http/pages/Page.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

namespace matrixos::proxy {

namespace {

constexpr std::size_t kMostPath = 512; // of the log
/// What a policy has that has to find out; twice that with the host's patience.
constexpr std::chrono::milliseconds kDecideTime{10'000};
constexpr std::int64_t kAskAgainMs = 5000; // where nothing was decided
/// So long goes on what nobody decides about: a policy that restarts costs nobody his connection.
constexpr std::int64_t kUndecidedMs = 5000;

/// Below /.matrixos everything is the platform's, and none of it an instance's, whoever answers there.
bool isPlatformPath(std::string_view target) {
  constexpr std::string_view kOurs = "/.matrixos";
  if (target == kWaitingPath || target.substr(0, kOurs.size()) != kOurs) return false;
  return target.size() == kOurs.size() || target[kOurs.size()] == '/' || target[kOurs.size()] == '?';
}

/// Whether a page of another host may have opened it in a frame: a service worker of the instance's that passes it on
/// does not say whether it was that or a tab (https://www.w3.org/TR/service-workers/#fetchevent).
bool mayBeFramed(const http::RequestHead &head) {
  const auto isPassedOn = [](const http::Field &field) {
    return http::sameAsLower(field.name, "sec-fetch-dest") && field.value == "empty";
  };
  return http::isNavigation(head) && isFromElsewhere(head) &&
         std::any_of(head.fields.begin(), head.fields.end(), isPassedOn);
}

} // namespace

ProxySession::~ProxySession() {
  stopWaiting();
  leaveThrottle();
}

// ------------------------------------------------------------------------------------------------- route and policy

void ProxySession::onRequest(http::ClientExchange &exchange) {
  const http::RequestHead &head = exchange.request();
  hungUp_ = eventStream_ = false;
  asked_ = 0;
  undecidedSinceMs_ = 0;
  route_.reset();
  serverTiming_.clear();
  principal_.clear();
  namer_ = {};
  added_.clear();
  decision_ = shared_.router.route(head, loop_.settings->options.sites);
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
  case RoutingDecision::Kind::Site:
    break;
  }
  if (!loop_.settings->origins.admits(head, client_.proto, decision_.isApi())) {
    return fail(exchange, 403, "a page of another site may not do this; [proxy] allowed_origins says which may");
  }
  if (decision_.isApi()) return pass(exchange);
  policies_ = options().policies;
  consult(exchange, 0);
}

/// Asks the policies from that one on.
void ProxySession::consult(http::ClientExchange &exchange, std::size_t link) {
  if (link == policies_->links().size()) return pass(exchange);
  PolicyQuestion question(exchange.request(), decision_, client_, loop_.policyFields);
  for (; link < policies_->links().size(); ++link) {
    Verdict &verdict = policies_->check(link, question);
    if (verdict.kind == MOS_VERDICT_PENDING) return askLater(exchange, link, question);
    if (!take(exchange, link, std::move(verdict))) return;
  }
  pass(exchange);
}

/// The answer comes on any thread, and goes on here.
void ProxySession::askLater(http::ClientExchange &exchange, std::size_t link, PolicyQuestion &question) {
  const std::uint64_t ticket = exchange.hold(2 * kDecideTime);
  const auto then = [weak = exchange.loop().weak_from_this(), ticket, session = this, link](Verdict verdict) {
    const auto loop = weak.lock();
    if (!loop) return;
    // The session lives as long as the held exchange does.
    loop->resume(ticket, [session, link, verdict = std::move(verdict)](http::ClientExchange &held) mutable {
      if (session->take(held, link, std::move(verdict))) session->consult(held, link + 1);
    });
  };
  policies_->decide(link, question, kDecideTime, then);
}

/// Follows what a policy says; false when the request has ended with it.
bool ProxySession::take(http::ClientExchange &exchange, std::size_t link, Verdict &&verdict) {
  if (principal_.empty()) {
    principal_ = std::move(verdict.principal);
    namer_ = policies_->links()[link].id;
  }
  if (!verdict.isAllowed()) return refuse(exchange, std::move(verdict)), false;
  if (added_.empty()) return added_.swap(verdict.fields), true;
  std::move(verdict.fields.begin(), verdict.fields.end(), std::back_inserter(added_));
  return true;
}

void ProxySession::refuse(http::ClientExchange &exchange, Verdict &&verdict) {
  // The same for a handle that nobody has: who may not pass does not learn who is here.
  if (goesHome(exchange.request())) return sendHome(exchange);
  http::LocalResponse response;
  if (verdict.kind == MOS_VERDICT_REDIRECT) {
    response.status = verdict.status;
    response.fields = {{"Location", verdict.location}, {"X-Request-Id", client_.requestId}};
    const bool cached = std::any_of(verdict.fields.begin(), verdict.fields.end(),
                                    [](const auto &field) { return http::sameText(field.first, "cache-control"); });
    if (!cached) response.fields.emplace_back("Cache-Control", "no-store");
  } else {
    const std::int64_t retryMs = verdict.reason.empty() ? 0 : kAskAgainMs;
    response =
        errorResponse(http::wantsPage(exchange.request()),
                      {verdict.status, verdict.message, std::string(verdict.reason), retryMs}, client_.requestId);
  }
  std::move(verdict.fields.begin(), verdict.fields.end(), std::back_inserter(response.fields));
  exchange.respond(std::move(response));
}

/// What the policies that count now have against a request that was allowed; nothing: it may go on.
std::optional<Verdict> ProxySession::objection(http::ClientExchange &exchange) {
  const PolicyChain &policies = *options().policies;
  if (policies.links().empty()) return std::nullopt;
  std::optional<PolicyQuestion> question;
  if (kept_)
    question.emplace(*kept_);
  else
    question.emplace(exchange.request(), decision_, client_, loop_.policyFields);
  question->stands();
  std::string principal;
  bool undecided = false, isNamerAsked = false;
  for (std::size_t link = 0; link < policies.links().size(); ++link) {
    Verdict &verdict = policies.check(link, *question);
    const bool failed = !verdict.reason.empty();
    const bool answers = !failed && verdict.kind != MOS_VERDICT_PENDING;
    if (answers && !verdict.isAllowed()) return std::move(verdict);
    const bool isNamer = policies.links()[link].id == namer_;
    undecided = undecided || failed;
    isNamerAsked = isNamerAsked || isNamer;
    if (!principal.empty()) continue;
    // Of who does not answer counts what he said before.
    if (answers)
      principal = std::move(verdict.principal);
    else if (isNamer)
      principal = principal_;
  }
  // The instance goes by who it was told is there, and goes on so when whoever named him decides no longer.
  const bool same = principal == principal_ || (principal.empty() && !isNamerAsked);
  if (!same) return Verdict{MOS_VERDICT_DENY, 403, "who asks is somebody else now; ask again", {}, {}, {}};
  if (undecided) return Verdict::failed();
  return std::nullopt;
}

/// Who signs out, or is shut out, leaves what he has open, too.
bool ProxySession::mayGoOn(http::ClientExchange &exchange) {
  if (decision_.kind != RoutingDecision::Kind::Instance) return true;
  const auto against = objection(exchange);
  if (!against || against->reason.empty()) {
    undecidedSinceMs_ = 0;
    return !against;
  }
  const std::int64_t now = exchange.loop().nowMs();
  if (undecidedSinceMs_ == 0) undecidedSinceMs_ = now;
  return now - undecidedSinceMs_ < kUndecidedMs;
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

/// Nobody is in its way.
void ProxySession::pass(http::ClientExchange &exchange) {
  if (decision_.kind == RoutingDecision::Kind::Instance && !route_)
    return fail(exchange, 404, "there is no such handle");
  if (decision_.kind == RoutingDecision::Kind::Instance && isPlatformPath(decision_.target))
    return fail(exchange, 404, "there is nothing at this path");
  if (decision_.kind == RoutingDecision::Kind::Instance && loop_.settings->headers.tellsSecret(exchange.request())) {
    return fail(exchange, 400, "a secret of the platform stands in this address, and instances must not see it");
  }
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

// --------------------------------------------------------------------------------------------------------- forward

void ProxySession::forwardTo(http::ClientExchange &exchange, const std::shared_ptr<const http::Upstream> &upstream) {
  // While it waited, whoever asks may have signed out, or been shut out.
  if (asked_ != 0) {
    if (auto against = objection(exchange)) return refuse(exchange, std::move(*against));
  }
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
  const bool api = decision_.isApi();
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
  case http::ForwardFailure::Declined:
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
  loop_.settings->headers.writeRequest(head, client_, decision_.kind == RoutingDecision::Kind::Instance, added_,
                                       writer);
}

void ProxySession::writeResponse(http::ClientExchange &exchange, http::ResponseHead &head, http::HeadWriter &writer) {
  const bool tenant = decision_.kind == RoutingDecision::Kind::Instance;
  if (tenant) noteReady(true);
  if (throttled_ && !head.isInterim()) leaveThrottle();
  eventStream_ =
      tenant && http::sameText(head.fields.value(http::Name::ContentType).substr(0, 17), "text/event-stream");
  const Answerer from = !tenant ? Answerer::Api : decision_.byPath ? Answerer::InstanceByPath : Answerer::Instance;
  loop_.settings->headers.writeResponse(head, from, exchange.request().host, client_.requestId, writer);
  // Beside the instance's own policy: each counts.
  if (tenant && !principal_.empty() && mayBeFramed(exchange.request()))
    writer.field("Content-Security-Policy", "frame-ancestors 'self'");
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

void ProxySession::onUpgraded(http::ClientExchange &exchange) {
  if (loop_.telemetry.logs()) noteRequest(exchange.request());
  if (decision_.kind != RoutingDecision::Kind::Instance) return;
  // Also where nobody decides: a policy may come later.
  PolicyQuestion question(exchange.request(), decision_, client_, loop_.policyFields);
  kept_ = std::make_unique<KeptRequest>(*question.forDecide());
}

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
  case RoutingDecision::Kind::Site:
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
  kept_.reset();
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
  record.principal = principal_;
  record.outcome = outcome;
  record.upgraded = summary.upgraded;
  record.woken = asked_ != 0;
  record.reason = summary.reason;
  loop_.telemetry.log(std::move(record));
}

http::LocalResponse ProxySession::refusal(const http::ParseError &error) {
  std::string sentence = sentenceOf(error, options().server.request, {"max_header", "max_header_fields", "max_uri"});
  return errorResponse(false, {error.status, std::move(sentence), {}, 0}, client_.requestId);
}

/// Whether the platform is well, and what its operator does about that.
bool ProxySession::isVital(const http::RequestHead &head) {
  if (!shared_.router.route(head, loop_.settings->options.sites).isApi()) return false;
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
