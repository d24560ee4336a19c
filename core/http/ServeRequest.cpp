#include "http/BodyReader.h"
#include "http/PathCodec.h"
#include "http/ServerCore.h"

#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <algorithm>
#include <utility>

namespace matrixos::api {

namespace {

/// Unwanted bodies up to this are read away so that the connection can be kept; longer ones are not worth it.
constexpr std::uint64_t kMaxDrain = 64 * 1024;
constexpr std::chrono::milliseconds kDrainTime{1000};
constexpr std::size_t kMaxRequestId = 64;

/// The client's own id when it is fit for logs, else a new one.
std::string chooseRequestId(const RequestHead &head) {
  const auto given = head.findAll("X-Request-Id");
  if (given.size() == 1 && !given.front().empty() && given.front().size() <= kMaxRequestId) {
    const bool sane = std::all_of(given.front().begin(), given.front().end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
             c == '-';
    });
    if (sane) return std::string(given.front());
  }
  return makeUlid();
}

std::string join(const std::vector<std::string> &items, std::string_view separator) {
  std::string text;
  for (const std::string &item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

/// How long a request waits for its turn when the owner of its route holds all the workers it may have.
constexpr std::chrono::milliseconds kTurnTime{1000};

/// Keeps removeRoutes() waiting while a worker may be inside an owner's handler, and owners within their share.
class Busy {
public:
  Busy(ExchangeTable &table, OwnerId owner) : table_(table), owner_(owner) {
    if (table_.enter(owner_, Clock::now() + kTurnTime)) return;
    throw ProblemException(Problem{503,
                                   "the part of the platform that serves this route is busy with as many requests as "
                                   "it may be, and none of them ends; try again later",
                                   "ROUTE_BUSY",
                                   1000,
                                   {}});
  }
  ~Busy() { table_.exit(owner_); }
  Busy(const Busy &) = delete;
  Busy &operator=(const Busy &) = delete;

private:
  ExchangeTable &table_;
  OwnerId owner_;
};

/// One request's way through the server.
class Serving {
public:
  Serving(ApiServer::Core &core, Connection &connection)
      : core_(core), connection_(connection), head_(connection.head()), body_(connection, core.options.bodyTimeout),
        bytesBefore_(connection.bytesSent()) {
    record_.method = head_.method;
    record_.requestId = chooseRequestId(head_);
  }

  After run() {
    bool reusable = false;
    try {
      reusable = dispatch();
    } catch (const ProblemException &e) {
      reusable = answer(e.problem());
    } catch (const Error &e) {
      reusable = answer(toProblem(e));
    } catch (const std::exception &e) {
      fault(e.what());
      reusable = answer(internalProblem());
    }
    record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection_.requestStart);
    record_.bytes = connection_.bytesSent() - bytesBefore_;
    core_.report(record_);
    if (!reusable || connection_.aborted()) return After::Close;
    return body_.drain(kMaxDrain, Clock::now() + kDrainTime) ? After::KeepAlive : After::Close;
  }

private:
  bool mayKeepAlive() const { return head_.keepAlive && !core_.stopping; }

  static Problem internalProblem() {
    return {500,
            "the platform failed to serve this request; its log has the cause under the request id",
            "INTERNAL",
            0,
            {}};
  }

  void fault(const std::string &what) { core_.reportFault(what, record_); }

  /// Answers in the server's own name; whether the connection may stay.
  bool answer(const Problem &problem) {
    record_.status = problem.status;
    ResponseHead head;
    const std::string body = problemBody(problem, record_.requestId);
    head.status = problem.status;
    head.contentType = kProblemType;
    head.fields = problemFields(problem);
    head.contentLength = body.size();
    return send(head, body);
  }

  bool send(ResponseHead &head, std::string_view body) {
    // After part of a body was read, or while the client waits for 100 Continue, the next request's start is unknown.
    const bool drainable =
        body_.complete() || (!body_.started() && !head_.expectContinue && head_.contentLength <= kMaxDrain);
    head.requestId = record_.requestId;
    head.minorVersion = head_.minorVersion;
    head.keepAlive = mayKeepAlive() && drainable;
    if (head_.method == "HEAD") body = {};
    return connection_.send(serialize(head), body, core_.options.sendTimeout) && head.keepAlive;
  }

  bool dispatch() {
    if (head_.target == "*") return answerOptions({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"});
    ExchangeData data;
    const auto segments = decodePath(head_.path());
    data.query = decodeQuery(head_.query());
    RouteMatch match = core_.router.find(head_.method, segments);
    if (!match.entry) {
      if (match.allow.empty()) throw ProblemException(404, "there is nothing at this path", "NO_ROUTE");
      if (head_.method == "OPTIONS") return answerOptions(match.allow);
      throw ProblemException(Problem{405,
                                     "this path does not know the method " + head_.method,
                                     "METHOD_NOT_ALLOWED",
                                     0,
                                     {{"Allow", join(match.allow, ", ")}}});
    }
    record_.route = match.entry->route.pattern;
    const Busy busy(core_.exchanges, match.entry->owner);
    if (match.entry->removed) {
      throw ProblemException(
          Problem{503, "the part of the platform that serves this route was stopped", "ROUTE_REMOVED", 1000, {}});
    }
    record_.principal = authenticate(match.entry->route.permission);
    data.body = body_.readAll(match.entry->route.maxBody);
    data.path = "/" + join(segments, "/");
    data.params = std::move(match.values);
    data.route = std::move(match.entry);
    data.head = head_;
    data.principal = record_.principal;
    data.requestId = record_.requestId;
    return exchange(std::move(data));
  }

  bool answerOptions(const std::vector<std::string> &methods) {
    ResponseHead head;
    head.status = record_.status = 204;
    head.fields.push_back({"Allow", join(methods, ", ")});
    return send(head, {});
  }

  std::string authenticate(const std::string &permission) {
    auth::Credentials credentials;
    credentials.socket = connection_.door();
    credentials.peerUid = connection_.peerUid();
    credentials.authorization = head_.findAll("Authorization");
    auth::Decision decision = core_.options.authenticator->check(permission, credentials);
    if (decision.allowed()) return std::move(decision.principal);
    Problem problem{decision.status, decision.message, decision.reason, 0, {}};
    if (decision.status == 401) problem.fields.push_back({"WWW-Authenticate", "Bearer"});
    throw ProblemException(std::move(problem));
  }

  bool exchange(ExchangeData data) {
    const auto route = data.route;
    const auto exchange =
        std::make_shared<Exchange>(std::move(data), connection_, core_.streams, core_.options.sendTimeout);
    core_.exchanges.add(exchange);
    const std::uint64_t id = exchange->id();
    try {
      route->route.handle(exchange);
    } catch (const Error &e) {
      exchange->handlerFailed(toProblem(e));
    } catch (const std::exception &e) {
      fault(e.what());
      exchange->handlerFailed(internalProblem());
    } catch (...) {
      fault("an exception that is no std::exception");
      exchange->handlerFailed(internalProblem());
    }
    const Exchange::Result result = exchange->settle(Clock::now() + core_.options.exchangeTimeout, core_.stopping);
    if (result.abandoned)
      core_.exchanges.abandon(id);
    else
      core_.exchanges.forget(id);
    record_.status = result.status;
    return result.reusable;
  }

  ApiServer::Core &core_;
  Connection &connection_;
  const RequestHead head_;
  BodyReader body_;
  AccessRecord record_;
  std::uint64_t bytesBefore_;
};

} // namespace

After serveRequest(ApiServer::Core &core, Connection &connection) {
  try {
    return Serving(core, connection).run();
  } catch (const std::exception &) {
    // Out of memory or randomness before anything could be said.
    return After::Close;
  }
}

} // namespace matrixos::api
