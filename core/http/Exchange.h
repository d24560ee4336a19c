#pragma once

#include "http/Connection.h"
#include "http/Problem.h"
#include "http/ResponseHead.h"
#include "http/Router.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::api {

/// How many answers may stream at once. Streams hold a worker each, so they get no more than a share of the workers.
class StreamBudget {
public:
  explicit StreamBudget(int limit) : limit_(limit) {}
  bool tryTake() noexcept {
    if (open_.fetch_add(1) < limit_) return true;
    open_.fetch_sub(1);
    return false;
  }
  void giveBack() noexcept { open_.fetch_sub(1); }
  int open() const noexcept { return open_; }

private:
  const int limit_;
  std::atomic<int> open_{0};
};

/// What an exchange is made of; fixed once the handler sees it.
struct ExchangeData {
  std::shared_ptr<RouteEntry> route;
  std::vector<std::string> params; ///< values of route->names
  RequestHead head;
  std::string path; ///< decoded once
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  std::string principal;
  std::string requestId;
};

/// One request and its answer.
///
/// The handler's side, callable from any thread: exactly one of respond(), fail() or begin() … end(), now or later.
/// respond() and fail() hand the answer over and return at once; a slow client costs the server's worker, never the
/// caller. Each of them throws Error(NotFound) once the exchange was answered or given up, that is: the client has
/// gone, the server stops, or the route's owner was removed.
///
/// The server's side: the worker that owns the connection calls settle() after the handler has returned, and waits
/// there for the answer.
class Exchange {
public:
  Exchange(ExchangeData data, Connection &connection, std::shared_ptr<StreamBudget> streams,
           std::chrono::milliseconds sendTimeout);
  ~Exchange();
  Exchange(const Exchange &) = delete;
  Exchange &operator=(const Exchange &) = delete;

  const ExchangeData &data() const { return data_; }
  /// The number that stands for this exchange across the ABI.
  std::uint64_t id() const { return id_; }
  void setId(std::uint64_t id) { id_ = id; }

  /// A bound part of the path, decoded.
  std::optional<std::string_view> param(std::string_view name) const;
  /// A query parameter, decoded, the first of its name.
  std::optional<std::string_view> queryParam(std::string_view name) const;
  /// A header field, the first of its name in any case.
  std::optional<std::string_view> header(std::string_view name) const { return data_.head.find(name); }

  /// Whether nobody waits for the answer any more.
  bool gone() const;
  /// Whether it can still be answered or written to.
  bool open() const;

  /// The whole answer. Also throws Error(InvalidArgument) for what checkResponse() refuses, and for a body with 204 or
  /// 304; the exchange then still waits for an answer.
  void respond(int status, std::string contentType, std::vector<Field> fields, std::string body);
  void fail(const Error &error) { fail(toProblem(error)); }
  void fail(Problem problem);

  /// Sends the head of a streamed answer. Also throws Error(ResourceExhausted) when too many answers stream already.
  void begin(int status, std::string contentType, std::vector<Field> fields);
  /// Sends a part; blocks while the client is slow. Throws Error(Cancelled) once the client has gone or the server
  /// stops, Error(FailedPrecondition) before begin().
  void write(std::string_view bytes);
  void end();

  /// How it went, for the server.
  struct Result {
    int status = 0;         ///< 0: the client had gone before an answer began
    bool reusable = false;  ///< the connection can carry another request
    bool abandoned = false; ///< the handler still owes an answer that nobody waits for
  };

  /// Waits for the answer and sends it; returns once the connection is no longer used by this exchange. Notices a
  /// client that goes away; answers 504 at `deadline`. `stopping`: whether the server keeps no connections any more.
  Result settle(Clock::time_point deadline, const std::atomic<bool> &stopping);

  /// What the handler threw. An unanswered exchange is answered with it; a stream is cut, so that the client sees that
  /// it is incomplete. False when the answer was already given.
  bool handlerFailed(Problem problem);

  /// Answers in the handler's place (stop, owner removed): an open exchange gets `problem`, a stream is cut.
  void cancel(const Problem &problem);

private:
  enum class Phase {
    Open,      ///< no answer yet
    Answered,  ///< answer_ waits to be sent, or was sent
    Streaming, ///< head sent, parts follow
    Ended,     ///< stream complete
    GivenUp    ///< nobody waits any more
  };

  struct Answer {
    int status = 0;
    std::string contentType;
    std::vector<Field> fields;
    std::string body;
  };

  void requireOpen() const;
  void giveAnswer(Answer answer);
  Result sendAnswer(bool keepAlive);
  bool sendStreamed(std::unique_lock<std::mutex> &lock, std::string_view bytes);
  ResponseHead headOf(int status, std::string contentType, std::vector<Field> fields) const;
  static Answer answerOf(const Problem &problem, const std::string &requestId);

  const ExchangeData data_;
  const std::shared_ptr<StreamBudget> streams_;
  const std::chrono::milliseconds sendTimeout_;
  std::uint64_t id_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::Open;
  Connection *connection_; ///< null once the worker has left
  Answer answer_;
  bool serverGaveUp_ = false; ///< answer_ comes from the server, the handler's is still due
  bool writing_ = false;      ///< a thread sends a part without holding the lock
  bool keepAlive_ = false;    ///< what the stream's head said
  bool holdsStream_ = false;
};

} // namespace matrixos::api
