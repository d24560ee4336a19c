#include "GatewaySession.h"

#include "HeaderRules.h"

#include <matrixos/call.hpp>
#include <matrixos/text/time.hpp>

#include <http/codec/Grammar.h>
#include <http/codec/Traceparent.h>

#include <algorithm>
#include <utility>

namespace matrixos::gateway {

namespace {

/// Bodies that are kept at a time, of all callers together.
constexpr std::uint64_t kMostBodyBytes = 512U << 20U;
constexpr std::uint64_t kMostMessage = 128U << 10U; ///< JSON of one message

/// The body is sent as it is.
bool isIdentity(const http::FieldList &fields) {
  const std::string_view encoding = http::trim(valueOf(fields, "content-encoding"));
  return encoding.empty() || http::sameAsLower(encoding, "identity");
}

} // namespace

std::int64_t GatewaySession::nowMs(http::ClientExchange &exchange) const {
  return exchange.loop().nowMs();
}

// ---------------------------------------------------------------------------------------------------------- who asks

void GatewaySession::begin(http::ClientExchange &exchange) {
  settings_ = loop_.settings;
  requestId_ = loop_.makeId();
  trace_ = http::traceparentOf(exchange.request().fields);
  if (trace_.empty()) trace_ = loop_.makeTrace();
  asker_ = Asker::Nobody;
  owner_.reset();
  target_.reset();
  body_.clear();
  why_ = "";
  inExchange_ = true;
  exchange.request().acceptsTrailers = false; // nobody looks for keys in them
  credential_ = credentialOf(exchange.request().fields);
  match_ = findRoute(exchange.request().method, exchange.request().path(), settings_->options.passed);
}

void GatewaySession::onRequest(http::ClientExchange &exchange) {
  begin(exchange);
  if (!letIn(exchange)) return;
  if (match_.route == Route::None)
    return refuse(exchange,
                  {404, "not_found_error", "there is nothing here; the gateway serves /v1/messages and /v1/models"});
  if (match_.route == Route::OtherMethod)
    return refuse(exchange, {405,
                             "invalid_request_error",
                             "this path is served with another method",
                             {{"allow", std::string(match_.allow)}}});
  if (exchange.request().upgradeWebSocket)
    return refuse(exchange, {400, "invalid_request_error", "WebSockets are not served here"});
  serve(exchange);
}

bool GatewaySession::letIn(http::ClientExchange &exchange) {
  const auto no = [&](int status, const char *type, const char *message) {
    refuse(exchange, {status, type, message});
    return false;
  };
  // Who has got to this listener without being ours gets nothing, whatever he knows.
  if (exchange.listenerTag() == kContainersTag && !isLoopback(exchange.peer()) &&
      !shared_.to.instances.isOurs(exchange.peer())) {
    if (credential_.kind != Credential::Kind::Instance)
      return no(403, "permission_error", "this address may not call the gateway");
    return letInInstance(exchange, true);
  }
  if (match_.route == Route::Health) return true;
  switch (credential_.kind) {
  case Credential::Kind::None:
    return no(401, "authentication_error", "a token is missing; send it as x-api-key or as Authorization: Bearer");
  case Credential::Kind::Two:
    return no(401, "authentication_error", "the request has two different credentials; send one");
  case Credential::Kind::Instance:
    return letInInstance(exchange, false);
  case Credential::Kind::OwnKey:
    if (!isCall(match_.route)) return no(401, "authentication_error", "a key of Anthropic's is good for calls alone");
    if (!settings_->options.ownKeys)
      return no(401, "authentication_error", "keys of your own are not accepted here; use the instance's token");
    asker_ = Asker::OwnKey;
    return true;
  case Credential::Kind::Other:
    break;
  }
  if (!settings_->options.adminSecret.equals(credential_.text) || settings_->options.adminSecret.empty())
    return no(401, "authentication_error", "the credential is not good");
  asker_ = Asker::Admin;
  const bool may = isAdmins(match_.route) || match_.route == Route::Send || match_.route == Route::None ||
                   match_.route == Route::OtherMethod;
  return may || no(403, "permission_error", "the platform's secret is not good for this");
}

/// `stranger`: no instance is known to have that address; one that has just started is known by its token.
bool GatewaySession::letInInstance(http::ClientExchange &exchange, bool stranger) {
  const auto no = [&](int status, const char *type, const char *message) {
    refuse(exchange, {status, type, message});
    return false;
  };
  try {
    owner_ = loop_.owners.find(credential_.text, nowMs(exchange));
  } catch (const std::exception &) {
    return no(529, "overloaded_error", "the token cannot be checked at the moment");
  }
  if (!owner_) return no(401, "authentication_error", "the token is not good, or not any more");
  if (!owner_->mayCallFrom(exchange.peer())) {
    const bool isHomeless = owner_->addresses.empty(); // for a moment after its start
    owner_.reset();                                    // it is not him
    if (isHomeless) return no(529, "overloaded_error", "where the instance runs is not known yet; try again");
    return no(401, "authentication_error", "the token is only good from its own instance");
  }
  if (stranger && !owner_->bound) return no(403, "permission_error", "this address may not call the gateway");
  asker_ = Asker::Instance;
  return !isAdmins(match_.route) || no(403, "permission_error", "an instance may not ask for this");
}

std::string GatewaySession::userKey(http::ClientExchange &exchange) const {
  return owner_ ? owner_->id : "key@" + exchange.peer().ip();
}

// ------------------------------------------------------------------------------------------------------------- routes

void GatewaySession::serve(http::ClientExchange &exchange) {
  switch (match_.route) {
  case Route::Health:
    return answer(exchange, 200, R"({"status":"ok"})");
  case Route::Messages:
  case Route::CountTokens:
  case Route::Models:
  case Route::Passed:
    return serveCall(exchange);
  case Route::Registered:
    return answer(exchange, 200, shared_.to.instances.listJson());
  case Route::Forget:
    return forgetGateway(exchange);
  case Route::UsageMe:
  case Route::UsageSummary:
  case Route::UsageOf:
  case Route::UsageDaily:
    return report(exchange);
  case Route::Quota:
  case Route::Send:
  case Route::Register:
    return exchange.readBody(kMostMessage);
  case Route::None:
  case Route::OtherMethod:
    break; // answered before
  }
}

void GatewaySession::serveCall(http::ClientExchange &exchange) {
  const http::FieldList &fields = exchange.request().fields;
  call_ = std::make_shared<UpstreamCall>(shared_, settings_);
  call_->record.requestId = requestId_;
  call_->tour.ownKey = asker_ == Asker::OwnKey;
  if (!isIdentity(fields))
    return refuse(exchange,
                  {415, "invalid_request_error", "compressed request bodies are not served; send it as it is"});
  if (owner_ && match_.route != Route::Messages) {
    if (const auto no = shared_.to.ledger.closedTo(owner_->id)) return refuseSpending(exchange, *no);
  }
  if (!enterRates(exchange)) return;
  const std::uint64_t length = exchange.request().body.length;
  if (length <= settings_->options.maxBody) body_.reserve(length);
  exchange.readBody(settings_->options.maxBody);
}

bool GatewaySession::enterRates(http::ClientExchange &exchange) {
  RateLimits::Answer entered = shared_.rates.enter(userKey(exchange), nowMs(exchange));
  if (entered.limit == RateLimits::Limit::None) {
    call_->place = std::move(entered.place);
    return true;
  }
  const bool tooMany = entered.limit == RateLimits::Limit::Concurrent;
  refuse(exchange, {429,
                    "rate_limit_error",
                    tooMany ? "too many requests of this user are under way" : "too many requests in a minute",
                    {{"retry-after", retryAfter(entered.waitMs)}}});
  return false;
}

void GatewaySession::onBody(http::ClientExchange &exchange, std::string_view piece, bool last) {
  if (shared_.bodyBytes.fetch_add(piece.size(), std::memory_order_relaxed) > kMostBodyBytes) {
    shared_.bodyBytes.fetch_sub(piece.size(), std::memory_order_relaxed);
    return refuse(exchange, {529, "overloaded_error", "too many large requests are under way", {{"retry-after", "5"}}});
  }
  body_ += piece;
  if (!last) return;
  bodyDoneNs_ = monotonicNanos();
  if (match_.route == Route::Register) return registerGateway(exchange);
  if (match_.route == Route::Send) return sendMessage(exchange);
  if (match_.route == Route::Quota) return report(exchange);
  if (match_.route == Route::Messages && asker_ == Asker::Instance) return openMeter(exchange);
  tryNext(exchange);
}

// -------------------------------------------------------------------------------------------------------------- calls

void GatewaySession::openMeter(http::ClientExchange &exchange) {
  const http::FieldList &fields = exchange.request().fields;
  std::string betas;
  for (const http::Field &field : fields)
    if (http::sameAsLower(field.name, "anthropic-beta")) (betas += betas.empty() ? "" : ",") += field.value;
  auto parsed = MessageRequest::parse(body_, betas, settings_->options.rules);
  if (auto *no = std::get_if<Refusal>(&parsed))
    return refuse(exchange, {no->status, errorType(no->status), no->message});

  Meter::Order order{owner_->id,
                     owner_->handle,
                     {},
                     std::get<MessageRequest>(std::move(parsed)),
                     settings_->options.prices,
                     settings_->options.rules.worstCase};
  const std::string_view session = valueOf(fields, "x-claude-code-session-id");
  order.session = session.empty() ? valueOf(fields, "x-matrix-session") : session;
  call_->tour.model = call_->record.model = order.request.model;
  auto opened = Meter::open(shared_, std::move(order));
  if (const auto *no = std::get_if<Refused>(&opened)) return refuseSpending(exchange, *no);
  call_->meter = std::get<std::unique_ptr<Meter>>(std::move(opened));
  if (settings_->options.refuseUnknownModel && call_->meter->isUnknownModel())
    return refuse(exchange, {404, "not_found_error", "model: " + call_->tour.model + " has no price here"});
  const auto tokens = shared_.rates.takeTokens(owner_->id, call_->meter->mostTokens(), nowMs(exchange));
  if (tokens.limit != RateLimits::Limit::None) {
    return refuse(
        exchange,
        {429, "rate_limit_error", "too many tokens in a minute", {{"retry-after", retryAfter(tokens.waitMs)}}});
  }
  call_->tokensTaken(call_->meter->mostTokens());
  tryNext(exchange);
}

void GatewaySession::tryNext(http::ClientExchange &exchange) {
  Endpoints &endpoints = *settings_->endpoints;
  const std::int64_t now = nowMs(exchange);
  if (endpoints.next(call_->tour, now))
    return exchange.forwardTaken(endpoints.endpoint(*call_->tour.at).upstream, body_, call_.get());
  refuse(exchange, {529,
                    "overloaded_error",
                    "no upstream can take the call at the moment; try again",
                    {{"retry-after", retryAfter(endpoints.waitMs(call_->tour, now))}}});
}

/// While an instance's address was connected to it may have passed to another, whom the message is not for.
bool GatewaySession::isCurrent(http::ClientExchange &, const http::Upstream &) {
  if (!target_) return true;
  const auto now = shared_.to.instances.find(match_.handle);
  return now && now->gateway && now->authority == target_->authority;
}

void GatewaySession::writeRequest(http::ClientExchange &exchange, http::HeadWriter &writer) {
  const http::RequestHead &head = exchange.request();
  if (target_) {
    writer.requestLine("POST", target_->prefix + "/api/message");
    writer.field("Host", target_->authority);
    writer.field("Content-Type", "application/json");
    writer.field("traceparent", trace_);
    return writer.field("X-Request-Id", requestId_);
  }
  if (bodyDoneNs_ != 0) shared_.figures.added((monotonicNanos() - std::exchange(bodyDoneNs_, 0)) / 1000);
  const Endpoints &endpoints = *settings_->endpoints;
  const Endpoint &endpoint = endpoints.endpoint(*call_->tour.at);
  writer.requestLine(head.method, endpoint.prefix + std::string(head.target));
  writer.field("Host", endpoint.authority);
  writeUpstreamFields(head, settings_->options.adminSecret.reveal(), writer);
  if (asker_ == Asker::OwnKey && credential_.isBearer)
    writer.field("Authorization", {"Bearer ", credential_.text});
  else
    writer.field("x-api-key", asker_ == Asker::OwnKey ? credential_.text : endpoints.key(*call_->tour.at));
  writer.field("Accept-Encoding", "identity");
  writer.field("traceparent", trace_);
  call_->sent();
}

bool GatewaySession::acceptResponse(http::ClientExchange &exchange, const http::ResponseHead &head) {
  const int status = head.status;
  if (call_ && call_->meter && (status < 200 || status >= 300)) call_->meter->declined();
  if (status >= 300 && status < 400) {
    why_ = "it redirects, which is not followed";
    return false;
  }
  if (target_) return true;
  const bool faulty = status == 401 || status == 403 || status == 429 || status >= 500;
  const Verdict verdict = !faulty ? Verdict::Served : status == 401 ? Verdict::Denied : Verdict::Refused;
  settings_->endpoints->note(call_->tour, verdict, pauseMs(head.fields), nowMs(exchange));
  // With a key of his own an answer is about him. One that nobody else can better is passed on.
  if (faulty && !call_->tour.ownKey && settings_->endpoints->hasNext(call_->tour, nowMs(exchange))) return false;
  if (isIdentity(head.fields)) return true;
  why_ = "it compresses its answer, which was not asked for";
  return false;
}

void GatewaySession::writeResponse(http::ClientExchange &, http::ResponseHead &head, http::HeadWriter &writer) {
  if (head.isInterim()) return;
  if (target_) {
    const std::string_view type = head.fields.value(http::Name::ContentType);
    if (!type.empty()) writer.field("Content-Type", type);
    return writer.field("request-id", requestId_);
  }
  call_->head(head);
  writeDownstreamFields(head, settings_->options.keys.get(), writer);
  if (valueOf(head.fields, "request-id").empty()) writer.field("request-id", requestId_);
  for (const auto &[name, value] : ownLimits())
    writer.field(name, value);
}

void GatewaySession::onForwardFailed(http::ClientExchange &exchange, http::ForwardFailure failure) {
  using http::ForwardFailure;
  if (target_) {
    const bool late = failure == ForwardFailure::Timeout || failure == ForwardFailure::ConnectTimeout;
    return refuse(exchange, late ? ErrorAnswer{504, "timeout_error", "the instance took too long"}
                                 : ErrorAnswer{502, "api_error", "the instance cannot be reached"});
  }
  if (failure == ForwardFailure::Declined && *why_ == '\0') return tryNext(exchange);
  const auto note = [&](Verdict verdict) { settings_->endpoints->note(call_->tour, verdict, 0, nowMs(exchange)); };
  switch (failure) {
  case ForwardFailure::Unreachable:
  case ForwardFailure::ConnectTimeout:
  case ForwardFailure::NameUnknown:
  case ForwardFailure::Untrusted:
  case ForwardFailure::Moved:
    note(Verdict::Unreached);
    return tryNext(exchange);   // nothing was sent
  case ForwardFailure::Timeout: // perhaps of a client that only closed its side; so it says nothing of the place
    return refuse(exchange, {504, "timeout_error", "the upstream took too long to answer"});
  case ForwardFailure::Declined:
    return refuse(exchange, {502, "api_error", std::string("the upstream's answer cannot be passed on: ") + why_});
  case ForwardFailure::ClosedEarly:
  case ForwardFailure::BadResponse:
    note(Verdict::Refused); // it may be about what was asked
    return refuse(exchange, {502, "api_error", "the upstream broke off without an answer"});
  }
}

void GatewaySession::onFinished(http::ClientExchange &exchange, const http::Summary &summary) {
  inExchange_ = false;
  shared_.bodyBytes.fetch_sub(body_.size(), std::memory_order_relaxed);
  std::string().swap(body_); // thousands of idle connections would keep one each
  AccessRecord record = call_ ? std::move(call_->record) : AccessRecord{};
  const http::RequestHead &head = exchange.request();
  record.atMs = wallClockMs();
  record.requestId = requestId_;
  record.route = kRouteNames[static_cast<std::size_t>(match_.route)];
  if (owner_) record.handle = owner_->handle;
  record.method = head.method;
  record.path = head.path();
  record.peer = exchange.peer().ip();
  record.traceparent = trace_;
  record.status = summary.status;
  record.bytesIn = summary.bytesIn;
  record.bytesOut = summary.bytesOut;
  record.tookMicros = summary.tookMicros;
  record.reason = reason_.empty() ? std::string(summary.reason) : std::exchange(reason_, {});
  if (call_) {
    call_->record = std::move(record);
    call_.reset(); // its line is written when it ends
  } else if (settings_->options.accessLog) {
    shared_.log.add(std::move(record));
  }
  owner_.reset();
  target_.reset();
}

} // namespace matrixos::gateway
