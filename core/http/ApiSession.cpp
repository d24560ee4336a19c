#include "http/ApiSession.h"

#include "http/ClientKey.h"
#include "http/PathCodec.h"
#include "http/Site.h"

#include <matrixos/abi/host.h>
#include <matrixos/ulid.hpp>

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/Timestamp.h>
#include <http/codec/Grammar.h>
#include <http/engine/Loop.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <optional>
#include <utility>

namespace matrixos::api {

namespace {

constexpr std::size_t kMaxRequestId = 64;
constexpr std::string_view kPagePolicy =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
/// How long a request waits for its turn when the owner of its route holds all the places it may have.
constexpr std::chrono::milliseconds kTurnTime{1000};
/// More than who provides identities may take.
constexpr std::chrono::milliseconds kIdentifyTime{20000};
/// More than an audit log may take, whose end AuditTrail sees to.
constexpr std::chrono::milliseconds kAuditTime{10000};

/// The client's own id when it is fit for logs, else a new one.
std::string chooseRequestId(const http::RequestHead &head) {
  const std::string_view given = head.fields.value(http::Name::XRequestId);
  const bool sane = !given.empty() && given.size() <= kMaxRequestId && head.fields.count(http::Name::XRequestId) == 1 &&
                    std::all_of(given.begin(), given.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
                             c == '_' || c == '-';
                    });
  return sane ? std::string(given) : makeUlid();
}

std::string join(const std::vector<std::string> &items, std::string_view separator) {
  std::string text;
  for (const std::string &item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

/// RFC 9110 §5.6.7, made once a second.
const std::string &httpDate() {
  thread_local std::time_t second = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    text = Poco::DateTimeFormatter::format(Poco::Timestamp::fromEpochTime(now), Poco::DateTimeFormat::HTTP_FORMAT);
    second = now;
  }
  return text;
}

std::string_view textOf(std::string_view principal) {
  return principal;
}

std::string textOf(const Address::Bytes &client) {
  const std::string_view bytes(reinterpret_cast<const char *>(client.data()), client.size());
  return client == Address::Bytes{} ? "unknown" : Address::fromBytes(bytes, 0).ip();
}

Problem tooLarge(std::uint64_t maxBytes) {
  return {413,
          maxBytes == 0 ? std::string("this route takes no body")
                        : "the body is larger than the " + std::to_string(maxBytes) + " bytes that this route takes",
          "BODY_TOO_LARGE"};
}

Problem busyProblem() {
  return {
      503,
      "the part of the platform that serves this route is busy with as many requests as it may be, and none of them "
      "ends; try again later",
      "ROUTE_BUSY", 1000};
}

/// On a worker.
void runHandler(ApiServer::Core &core, const std::shared_ptr<ApiExchange> &exchange) {
  const ApiRequest &data = exchange->data();
  const auto fault = [&](const std::string &what) {
    AccessRecord record;
    record.method = data.copy->head().method;
    record.route = data.route->route.pattern;
    record.requestId = data.requestId;
    record.principal = data.principal;
    core.reportFault(what, record);
    exchange->handlerFailed(internalProblem());
  };
  if (!exchange->open()) {
    core.exchanges.forget(exchange->id());
  } else if (data.route->removed) {
    exchange->handlerFailed(routeRemovedProblem());
  } else {
    try {
      data.route->route.handle(exchange);
    } catch (const Error &e) {
      exchange->handlerFailed(toProblem(e));
    } catch (const std::exception &e) {
      fault(e.what());
    } catch (...) {
      fault("an exception that is no std::exception");
    }
  }
  exchange->handlerReturned();
}

} // namespace

void ApiSession::onRequest(http::ClientExchange &exchange) {
  const http::RequestHead &head = exchange.request();
  record_ = {};
  record_.method = head.method;
  record_.path = head.path();
  record_.requestId = chooseRequestId(head);
  attempt(exchange, [&] { dispatch(exchange); });
}

/// What is thrown becomes the answer.
void ApiSession::attempt(http::ClientExchange &exchange, auto &&step) {
  try {
    step();
  } catch (const ProblemException &e) {
    answer(exchange, e.problem());
  } catch (const std::exception &e) {
    core_->reportFault(e.what(), record_);
    answer(exchange, internalProblem());
  }
}

void ApiSession::dispatch(http::ClientExchange &exchange) {
  const http::RequestHead &head = exchange.request();
  if (core_->stopping) throw ProblemException(stoppingProblem());
  from_ = clientAddress(exchange);
  if (head.target == "*") return answerUnrouted(exchange, {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"});
  request_ = std::make_unique<ApiRequest>();
  std::vector<std::string> segments = decodePath(head.path());
  enterSite(segments, siteOf(head.host, core_->names));
  const std::size_t mark = head.target.find('?');
  if (mark != std::string_view::npos) request_->query = decodeQuery(head.target.substr(mark + 1));
  RouteMatch match = core_->router.find(head.method, segments);
  if (!match.entry) return answerUnrouted(exchange, match.allow);
  record_.route = match.entry->route.pattern;
  if (match.entry->removed) throw ProblemException(routeRemovedProblem());
  if (isPage_) segments.erase(segments.begin());
  request_->path = "/" + join(segments, "/");
  request_->params = std::move(match.values);
  request_->route = std::move(match.entry);
  const AuditTrail *audit = core_->options.audit.get();
  if (audit != nullptr && audit->isOn() && AuditEntry::mayMatter(head.method, *request_->route)) {
    audit_ = AuditEntry(head.method, request_->route, request_->params);
    audit_.setAddress(from_ ? from_->ip() : "unix");
  }
  authenticate(exchange);
}

/// What no route serves. `allow`: what the path knows.
void ApiSession::answerUnrouted(http::ClientExchange &exchange, const std::vector<std::string> &allow) {
  admit(decide(exchange, MOS_PERMISSION_PUBLIC), RouteClass::Plain);
  const std::string_view method = exchange.request().method;
  if (allow.empty()) throw ProblemException(404, "there is nothing at this path", "NO_ROUTE");
  if (method == "OPTIONS") return exchange.respond({204, {}, {}, {{"Allow", join(allow, ", ")}}});
  throw ProblemException(Problem{405,
                                 "this path does not know the method " + std::string(method),
                                 "METHOD_NOT_ALLOWED",
                                 0,
                                 {{"Allow", join(allow, ", ")}}});
}

/// On a site the API is below /api, and what else there is are its pages.
void ApiSession::enterSite(std::vector<std::string> &segments, const std::string &site) {
  if (site.empty() || !core_->router.hasSite(site)) return;
  isPage_ = segments.empty() || segments.front() != "api";
  if (isPage_)
    segments.insert(segments.begin(), siteSegment(site));
  else
    segments.erase(segments.begin());
}

auth::Decision ApiSession::decide(http::ClientExchange &exchange, std::string_view permission) const {
  auth::Credentials credentials;
  credentials.socket = static_cast<auth::ApiSocket>(exchange.listenerTag());
  if (credentials.socket == auth::ApiSocket::Admin) {
    if (const auto peer = exchange.peerProcess()) credentials.peerUid = peer->uid;
  }
  for (const http::Field &field : exchange.request().fields) {
    if (field.id == http::Name::Authorization) credentials.authorization.push_back(field.value);
  }
  return core_->options.authenticator->check(permission, credentials);
}

/// Counts the request for its client, before anybody else has to do with it.
void ApiSession::admit(const auth::Decision &decision, RouteClass kind) {
  // Who guesses at the token of the metrics is counted all the same.
  isCounted_ = !decision.isPlatform && (kind != RouteClass::Free || decision.status == 401);
  if (!isCounted_) return;
  client_ = clientKey(from_);
  count(Limit::Address, client_);
  if (kind == RouteClass::SignIn) count(Limit::SignIn, client_);
  if (kind == RouteClass::Webhook) count(Limit::Webhooks, client_);
}

/// The same for who asks, once that is known.
void ApiSession::countCaller(http::ClientExchange &exchange, const auth::Decision &decision) {
  const std::string &who = decision.who.id;
  // Guesses are dear: each counts twice.
  if (decision.status == 401) core_->limiter.charge(Limit::Address, client_);
  if (!who.empty()) count(Limit::Principal, std::string_view(who));
  if (http::isSafe(exchange.request().method) || request_->route->kind != RouteClass::Plain) return;
  who.empty() ? count(Limit::Writes, client_) : count(Limit::Writes, std::string_view(who));
}

void ApiSession::count(Limit limit, const auto &who) {
  const auto charge = core_->limiter.charge(limit, who);
  if (!charge) return;
  const bool allowed = charge->verdict.allowed;
  // Those that all requests count for are told where they refuse.
  if (!allowed || (limit != Limit::Address && limit != Limit::Principal)) charge_ = charge;
  if (allowed) return;
  record_.limit = charge->name();
  record_.limited = textOf(who);
  throw ProblemException(charge->problem());
}

void ApiSession::authenticate(http::ClientExchange &exchange) {
  auth::Decision decision = decide(exchange, request_->route->route.permission);
  admit(decision, request_->route->kind);
  if (decision.isOpen && core_->options.identities) return identify(exchange, std::move(decision));
  conclude(exchange, std::move(decision));
}

/// Asks who provides identities, and goes on when the answer is there; with the body, once that was taken.
void ApiSession::identify(http::ClientExchange &exchange, auth::Decision before) {
  const http::RequestHead &head = exchange.request();
  const RouteEntry &entry = *request_->route;
  auth::IdentityQuestion question;
  question.method = head.method;
  question.host = head.host;
  question.path = request_->path;
  question.permission = entry.route.permission;
  question.requestId = record_.requestId;
  if (signed_) {
    question.body = request_->body;
    question.signedBy = signed_->by;
  }
  const auto handle = std::find(entry.names.begin(), entry.names.end(), "handle");
  if (handle != entry.names.end())
    question.handle = request_->params[static_cast<std::size_t>(handle - entry.names.begin())];
  for (const http::Field &field : head.fields)
    question.fields.push_back({toAbi(field.name), toAbi(field.value)});
  const auto later = [&]() -> auth::Identities::Then {
    identifies_ = true;
    const std::uint64_t ticket = exchange.hold(kIdentifyTime);
    return [weak = exchange.loop().weak_from_this(), ticket, session = this, before](auth::Identity who) {
      // The session lives as long as the held exchange does.
      const auto loop = weak.lock();
      if (!loop) return;
      loop->resume(ticket, [session, before, who = std::move(who)](http::ClientExchange &held) {
        session->identifies_ = false;
        session->attempt(held, [&] { session->judge(held, who, before); });
      });
    };
  };
  if (const auto who = core_->options.identities->identify(question, later)) judge(exchange, *who, before);
}

void ApiSession::judge(http::ClientExchange &exchange, const auth::Identity &who, const auth::Decision &before) {
  if (who.kind == auth::Identity::Kind::Signed && !signed_) {
    signed_ = Signed{who.id, before};
    return takeBody(exchange);
  }
  conclude(exchange, auth::Authenticator::judge(request_->route->route.permission, who, before));
}

void ApiSession::conclude(http::ClientExchange &exchange, auth::Decision decision) {
  record_.principal = decision.who.id;
  audit_.setWho(decision.who);
  if (isCounted_) countCaller(exchange, decision);
  if (decision.allowed()) {
    if (request_->route->owner != common::kCoreOwner) {
      request_->caller = auth::callerJson(decision.who);
      if (from_) request_->client = from_->ip();
    }
    return signed_ ? submit(exchange) : takeBody(exchange);
  }
  core_->options.authenticator->noteRefused(decision);
  Problem problem{decision.status, decision.message, decision.reason};
  if (decision.status == 503) problem.retryAfterMs = 1000;
  if (decision.status == 401) problem.fields.emplace_back("WWW-Authenticate", "Bearer");
  throw ProblemException(std::move(problem));
}

void ApiSession::takeBody(http::ClientExchange &exchange) {
  const http::BodyFraming body = exchange.request().body;
  const std::uint64_t most = request_->route->route.maxBody;
  if (body.length > most) throw ProblemException(tooLarge(most));
  if (body.kind == http::BodyKind::None) return bodyTaken(exchange);
  request_->body.reserve(body.length);
  exchange.readBody(most);
}

void ApiSession::onBody(http::ClientExchange &exchange, std::string_view piece, bool last) {
  request_->body += piece;
  if (last) attempt(exchange, [&] { bodyTaken(exchange); });
}

void ApiSession::bodyTaken(http::ClientExchange &exchange) {
  signed_ ? identify(exchange, signed_->before) : submit(exchange);
}

void ApiSession::submit(http::ClientExchange &exchange) {
  request_->copy = std::make_shared<RequestCopy>(exchange.request());
  request_->principal = record_.principal;
  request_->requestId = record_.requestId;
  if (audit_.isChange()) {
    audit_.setBody(request_->body);
    if (!audit_.handle().empty()) audit_.setBefore(core_->options.audit->statusOf(audit_.handle()));
  }
  const OwnerId owner = request_->route->owner;
  auto made = std::make_shared<ApiExchange>(std::move(*request_), exchange.loop().shared_from_this(), core_->streams);
  request_.reset();
  core_->exchanges.add(made);
  const std::uint64_t id = made->id();
  made->onHandled([dispatcher = core_->dispatcher, id] { dispatcher->release(id); });
  made->setTicket(exchange.hold(core_->options.exchangeTimeout));
  // The session lives as long as the held exchange does.
  made->onAnswer([this](http::ClientExchange &held, http::LocalResponse given) { deliver(held, std::move(given)); });
  const auto outcome = core_->dispatcher->submit(id, owner, [core = core_, made] { runHandler(*core, made); });
  if (outcome == Dispatcher::Outcome::Full || outcome == Dispatcher::Outcome::Stuck) {
    core_->exchanges.forget(id);
    const bool full = outcome == Dispatcher::Outcome::Full;
    return answer(exchange, full ? Problem{503, "all workers are busy; try again", "OVERLOADED", 1000} : busyProblem());
  }
  exchange_ = std::move(made);
  waitsForPlace_ = outcome == Dispatcher::Outcome::Waits;
  if (waitsForPlace_) exchange.hold(kTurnTime);
}

/// What somebody is told has happened is in the audit log.
void ApiSession::deliver(http::ClientExchange &exchange, http::LocalResponse answer) {
  if (!audit_.isChange()) return exchange.respond(std::move(answer));
  if (answer.status >= 400) audit_.setAnswer(answer.body);
  const std::string after = audit_.handle().empty() ? std::string() : core_->options.audit->statusOf(audit_.handle());
  const std::string event = audit_.take(answer.status, record_.requestId, after);
  std::string type(answer.contentType);
  kept_.emplace(std::move(answer), std::move(type));
  const std::uint64_t ticket = exchange.hold(kAuditTime);
  core_->options.audit->record(event, [weak = exchange.loop().weak_from_this(), ticket, session = this] {
    // Held as the exchange that the session belongs to.
    if (const auto loop = weak.lock())
      loop->resume(ticket, [session](http::ClientExchange &held) { session->sendKept(held); });
  });
}

void ApiSession::sendKept(http::ClientExchange &exchange) {
  if (!kept_) return;
  auto [answer, type] = *std::exchange(kept_, std::nullopt);
  answer.contentType = type;
  exchange.respond(std::move(answer));
}

void ApiSession::onHoldTimeout(http::ClientExchange &exchange) {
  if (kept_) return sendKept(exchange);
  if (std::exchange(identifies_, false))
    return answer(exchange, {503, "who asks could not be found out in time; try again", "IDENTITY_TIMEOUT", 1000});
  if (!std::exchange(waitsForPlace_, false)) {
    return exchange_->cancel({504, "the platform did not answer in time", "TIMEOUT"});
  }
  if (core_->dispatcher->giveUp(exchange_->id()))
    exchange_->handlerFailed(busyProblem());
  else
    exchange.hold(core_->options.exchangeTimeout);
}

void ApiSession::onFinished(http::ClientExchange &, const http::Summary &summary) {
  if (exchange_) {
    const std::uint64_t id = exchange_->id();
    if (waitsForPlace_) core_->dispatcher->withdraw(id);
    if (exchange_->finished())
      core_->exchanges.abandon(id);
    else
      core_->exchanges.forget(id);
    core_->dispatcher->leave();
    exchange_.reset();
  }
  waitsForPlace_ = identifies_ = isPage_ = isCounted_ = false;
  charge_.reset();
  signed_.reset();
  request_.reset();
  kept_.reset();
  // What a limit refused is counted, or floods would fill the log.
  if (audit_.isWanted() && record_.limit.empty())
    core_->options.audit->note(audit_.take(summary.status, record_.requestId, {}));
  audit_ = {};
  record_.status = summary.status;
  record_.duration = std::chrono::microseconds(summary.tookMicros);
  record_.bytesIn = summary.bytesIn;
  record_.bytesOut = summary.bytesOut;
  core_->report(record_);
  record_ = {};
}

void ApiSession::answer(http::ClientExchange &exchange, const Problem &problem) {
  audit_.setReason(problem.reason);
  exchange.respond(http::problemResponse(problem, record_.requestId));
}

void ApiSession::writeOwnFields(http::ClientExchange &, const http::FieldPairs &given, http::HeadWriter &writer) {
  const auto has = [&](std::string_view name) {
    return std::any_of(given.begin(), given.end(),
                       [&](const auto &field) { return http::sameText(field.first, name); });
  };
  writer.field("Date", httpDate());
  if (!has("Cache-Control")) writer.field("Cache-Control", "no-store");
  if (isPage_) {
    // https://www.w3.org/TR/CSP3/: a page shows and runs what comes from its own host, and nobody frames it.
    if (!has("Content-Security-Policy")) writer.field("Content-Security-Policy", kPagePolicy);
    if (!has("Referrer-Policy")) writer.field("Referrer-Policy", "same-origin");
    if (!has("Cross-Origin-Opener-Policy")) writer.field("Cross-Origin-Opener-Policy", "same-origin");
  }
  if (charge_) {
    for (const auto &[name, value] : charge_->fields())
      writer.field(name, value);
  }
  writer.field("X-Content-Type-Options", "nosniff");
  writer.field("X-Request-Id", record_.requestId);
}

http::LocalResponse ApiSession::refusal(const http::ParseError &error) {
  const int status = error.status;
  Problem problem{status, sentenceOf(error, core_->headLimits, {"[api] max_header", nullptr, nullptr}), "BAD_REQUEST"};
  if (request_ && status == 413)
    problem = tooLarge(request_->route->route.maxBody);
  else if (request_)
    problem.reason = status == 408 ? "BODY_TIMEOUT" : "BAD_BODY";
  else if (status == 408)
    problem.reason = "HEAD_TIMEOUT";
  else if (status == 503)
    problem.reason = "TOO_MANY_CONNECTIONS";
  // RFC 9110 §15.5.6; CONNECT and TRACE are served nowhere.
  if (status == 405) problem.fields.emplace_back("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  return http::problemResponse(problem, record_.requestId);
}

void ApiSession::onRefused(int status, const char *) {
  record_ = {};
  record_.status = status;
  record_.requestId = makeUlid();
  core_->report(record_);
}

} // namespace matrixos::api
