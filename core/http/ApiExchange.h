#pragma once

#include "http/Problem.h"
#include "http/RequestCopy.h"
#include "http/Router.h"

#include <http/engine/ClientExchange.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {
class Loop;
}

namespace matrixos::api {

/// How many answers may stream at once: each of them is somebody who waits, and may wait for long.
class StreamBudget {
public:
  explicit StreamBudget(int limit) : limit_(limit) {}
  bool tryTake() noexcept {
    if (open_.fetch_add(1) < limit_) return true;
    open_.fetch_sub(1);
    return false;
  }
  void giveBack() noexcept { open_.fetch_sub(1); }

private:
  const int limit_;
  std::atomic<int> open_{0};
};

/// What a request brought along; fixed once the handler sees it.
struct ApiRequest {
  std::shared_ptr<const RequestCopy> copy;
  std::shared_ptr<RouteEntry> route;
  std::vector<std::string> params; ///< values of route->names
  std::string path;                ///< decoded once
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  std::string principal;
  std::string caller; ///< the same, and what is known of it, as JSON: auth::callerJson()
  std::string client; ///< its address; empty where nobody says it
  std::string requestId;
};

/// One request and its answer, as its handler sees them.
///
/// The handler's side, callable from any thread: exactly one of respond(), fail() or begin() … end(), now or later.
/// respond() and fail() hand the answer over and return at once; a slow client costs nobody a thread. Each of them
/// throws Error(NotFound) once the exchange was answered or given up, that is: the client has gone, the server stops,
/// or the route's owner was removed.
///
/// The server's side: the connection's session on the loop tells what becomes of the client, and sends what is given
/// here under the exchange's ticket.
class ApiExchange : public std::enable_shared_from_this<ApiExchange> {
public:
  ApiExchange(ApiRequest request, std::shared_ptr<http::Loop> loop, std::shared_ptr<StreamBudget> streams);
  ~ApiExchange();

  const ApiRequest &data() const { return data_; }
  /// The number that stands for this exchange across the ABI.
  std::uint64_t id() const { return id_; }
  void setId(std::uint64_t id) { id_ = id; }

  /// A bound part of the path, decoded.
  std::optional<std::string_view> param(std::string_view name) const;
  /// A query parameter, decoded, the first of its name.
  std::optional<std::string_view> queryParam(std::string_view name) const;
  /// A header field, the first of its name in any case.
  std::optional<std::string_view> header(std::string_view name) const { return data_.copy->find(name); }

  /// Whether nobody waits for the answer any more.
  bool gone() const;
  /// Whether it can still be answered or written to.
  bool open() const;

  /// The whole answer. Also throws Error(InvalidArgument) for a status outside 200…599, a malformed field, a field that
  /// belongs to the server, and for a body with 204 or 304; the exchange then still waits for an answer.
  void respond(int status, std::string contentType, http::FieldPairs fields, std::string body);
  void fail(const Error &error) { fail(toProblem(error)); }
  void fail(Problem problem);

  /// Sends the head of a streamed answer. Also throws Error(ResourceExhausted) when too many answers stream already.
  void begin(int status, std::string contentType, http::FieldPairs fields);
  /// Sends a part; blocks while the client is slow. Throws Error(Cancelled) once the client has gone or the server
  /// stops, Error(FailedPrecondition) before begin().
  void write(std::string_view bytes);
  void end();

  /// What the handler threw. An unanswered exchange is answered with it; a stream is cut, so that the client sees that
  /// it is incomplete.
  void handlerFailed(const Problem &problem);
  /// Answers in the handler's place (stop, owner removed, no answer in time): an open exchange gets `problem`, a stream
  /// is cut.
  void cancel(const Problem &problem);

  /// The session's side, on the loop. Before the handler is called: where answers go.
  void setTicket(std::uint64_t ticket) { ticket_ = ticket; }
  /// Before the handler is called: what sends a whole answer, on the loop, while the client waits for it.
  using Deliver = std::function<void(http::ClientExchange &exchange, http::LocalResponse answer)>;
  void onAnswer(Deliver deliver) { deliver_ = std::move(deliver); }
  /// The client has taken what waited.
  void drained();
  /// The exchange is over for the connection: whoever still writes is told that nobody waits. True when the handler
  /// still owes an answer.
  bool finished();

  /// Runs once nothing more is to come of the handler: it has returned, and has answered or is no longer waited for.
  /// Called before the handler; `whenDone` on any thread.
  void onHandled(std::function<void()> whenDone);
  void handlerReturned();

private:
  enum class Phase {
    Open,      ///< no answer yet
    Answered,  ///< handed over
    Streaming, ///< the head was sent, parts follow
    Ended,     ///< the stream is complete
    GivenUp    ///< nobody waits any more
  };

  void requireOpen() const;
  void checkStream() const;
  void giveAnswer(http::LocalResponse answer, std::string contentType);
  void giveProblem(const Problem &problem);
  void cutStream();
  void toLoop(std::function<void(http::ClientExchange &)> action);
  void leave(Phase phase);
  void reportHandled(std::unique_lock<std::mutex> &lock);

  const ApiRequest data_;
  const std::shared_ptr<http::Loop> loop_;
  const std::shared_ptr<StreamBudget> streams_;
  std::uint64_t id_ = 0;
  std::uint64_t ticket_ = 0;
  Deliver deliver_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> whenDone_;
  Phase phase_ = Phase::Open;
  std::size_t waiting_ = 0;   ///< bytes on their way to the loop, and those that the client has not taken
  bool serverGaveUp_ = false; ///< the answer came from the server, the handler's is still due
  bool returned_ = false;     ///< the handler has
  bool holdsStream_ = false;
};

} // namespace matrixos::api
