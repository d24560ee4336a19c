#include "http/ApiExchange.h"

#include <http/codec/Grammar.h>
#include <http/engine/Loop.h>
#include <http/engine/Session.h>

#include <array>
#include <utility>

namespace matrixos::api {

namespace {

/// How much of a stream may be on its way before write() waits.
constexpr std::size_t kWindow = 64 * 1024;

constexpr std::array<std::string_view, 10> kOurs{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
                                                 "Trailer",        "Upgrade",           "TE",         "Date",
                                                 "Content-Type",   "X-Request-Id"};

void checkField(const std::string &name, const std::string &value) {
  if (!http::isToken(name)) throw Error(Status::InvalidArgument, "a response field has no well-formed name");
  if (!http::isFieldValue(value)) {
    throw Error(Status::InvalidArgument, "the response field " + name + " holds a control byte");
  }
  for (const std::string_view ours : kOurs) {
    if (http::sameText(name, ours)) {
      throw Error(Status::InvalidArgument, "the response field " + name + " is set by the server");
    }
  }
}

void checkResponse(int status, std::string_view contentType, const http::FieldPairs &fields) {
  if (status < 200 || status > 599) {
    throw Error(Status::InvalidArgument, "an answer's status has to be 200 to 599, not " + std::to_string(status));
  }
  if (!http::isFieldValue(contentType)) throw Error(Status::InvalidArgument, "the content type holds a control byte");
  for (const auto &[name, value] : fields)
    checkField(name, value);
}

/// Whether answers with this status have no body at all (RFC 9110 §6.4.1).
bool bodyless(int status) noexcept {
  return status == 204 || status == 304;
}

} // namespace

ApiExchange::ApiExchange(ApiRequest request, std::shared_ptr<http::Loop> loop, std::shared_ptr<StreamBudget> streams)
    : data_(std::move(request)), loop_(std::move(loop)), streams_(std::move(streams)) {}

ApiExchange::~ApiExchange() {
  if (holdsStream_) streams_->giveBack();
}

std::optional<std::string_view> ApiExchange::param(std::string_view name) const {
  const auto &names = data_.route->names;
  for (std::size_t i = 0; i < names.size() && i < data_.params.size(); ++i) {
    if (names[i] == name) return data_.params[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> ApiExchange::queryParam(std::string_view name) const {
  for (const auto &[key, value] : data_.query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

bool ApiExchange::gone() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::GivenUp || serverGaveUp_;
}

bool ApiExchange::open() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::Open || phase_ == Phase::Streaming;
}

void ApiExchange::requireOpen() const {
  if (phase_ != Phase::Open) {
    throw Error(Status::NotFound, "the exchange was answered or given up", "EXCHANGE_OVER");
  }
}

void ApiExchange::toLoop(std::function<void(http::ClientExchange &)> action) {
  loop_->resume(ticket_, std::move(action));
}

/// Under the lock: no further answer is awaited of the handler.
void ApiExchange::leave(Phase phase) {
  phase_ = phase;
  changed_.notify_all();
}

void ApiExchange::reportHandled(std::unique_lock<std::mutex> &lock) {
  const bool awaited = phase_ == Phase::Open || phase_ == Phase::Streaming;
  if (!returned_ || awaited || !whenDone_) return;
  const auto whenDone = std::exchange(whenDone_, nullptr);
  lock.unlock();
  whenDone();
}

void ApiExchange::giveAnswer(http::LocalResponse answer, std::string contentType) {
  leave(Phase::Answered);
  toLoop([deliver = deliver_, answer = std::move(answer),
          contentType = std::move(contentType)](http::ClientExchange &exchange) mutable {
    answer.contentType = contentType;
    deliver(exchange, std::move(answer));
  });
}

void ApiExchange::giveProblem(const Problem &problem) {
  giveAnswer(http::problemResponse(problem, data_.requestId), std::string(http::kProblemType));
}

void ApiExchange::respond(int status, std::string contentType, http::FieldPairs fields, std::string body) {
  checkResponse(status, contentType, fields);
  if (bodyless(status) && !body.empty()) {
    throw Error(Status::InvalidArgument, "an answer with status " + std::to_string(status) + " has no body");
  }
  std::unique_lock lock(mutex_);
  requireOpen();
  giveAnswer({status, {}, std::move(body), std::move(fields)}, std::move(contentType));
  reportHandled(lock);
}

void ApiExchange::fail(Problem problem) {
  if (problem.status < 400 || problem.status > 599) problem.status = 500;
  std::unique_lock lock(mutex_);
  requireOpen();
  giveProblem(problem);
  reportHandled(lock);
}

void ApiExchange::cutStream() {
  leave(Phase::GivenUp);
  toLoop([](http::ClientExchange &exchange) { exchange.abort("the answer was given up"); });
}

void ApiExchange::handlerFailed(const Problem &problem) {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::Open)
    giveProblem(problem);
  else if (phase_ == Phase::Streaming)
    cutStream();
}

void ApiExchange::cancel(const Problem &problem) {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) {
    serverGaveUp_ = true;
    giveProblem(problem);
  } else if (phase_ == Phase::Streaming) {
    cutStream();
  }
  reportHandled(lock);
}

void ApiExchange::begin(int status, std::string contentType, http::FieldPairs fields) {
  checkResponse(status, contentType, fields);
  if (bodyless(status)) throw Error(Status::InvalidArgument, "an answer with this status has no body to stream");
  const std::lock_guard lock(mutex_);
  requireOpen();
  if (!streams_->tryTake()) {
    throw Error(Status::ResourceExhausted, "too many answers are streamed at once; try again", "TOO_MANY_STREAMS",
                1000);
  }
  holdsStream_ = true;
  phase_ = Phase::Streaming;
  toLoop([status, contentType = std::move(contentType), fields = std::move(fields)](http::ClientExchange &exchange) {
    exchange.begin({status, contentType, fields});
  });
}

/// Under the lock: throws unless more can be sent.
void ApiExchange::checkStream() const {
  if (phase_ == Phase::GivenUp || serverGaveUp_) {
    throw Error(Status::Cancelled, "nobody waits for the rest of this answer", "CLIENT_GONE");
  }
  if (phase_ != Phase::Streaming) throw Error(Status::NotFound, "the exchange was answered", "EXCHANGE_OVER");
}

void ApiExchange::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) throw Error(Status::FailedPrecondition, "begin() has to come before write()");
  changed_.wait(lock, [&] { return waiting_ < kWindow || phase_ != Phase::Streaming; });
  checkStream();
  if (bytes.empty()) return;
  waiting_ += bytes.size();
  // Under the lock, so that parts of several threads keep their order.
  toLoop([self = shared_from_this(), part = std::string(bytes)](http::ClientExchange &exchange) {
    // What waits for the client stays counted until all of it has been taken.
    if (exchange.write(part) || exchange.unsent() == 0) self->drained();
  });
}

void ApiExchange::end() {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) throw Error(Status::FailedPrecondition, "begin() has to come before end()");
  checkStream();
  leave(Phase::Ended);
  toLoop([](http::ClientExchange &exchange) { exchange.end(); });
  reportHandled(lock);
}

void ApiExchange::drained() {
  const std::lock_guard lock(mutex_);
  waiting_ = 0;
  changed_.notify_all();
}

bool ApiExchange::finished() {
  std::unique_lock lock(mutex_);
  const bool owed = serverGaveUp_ || phase_ == Phase::Open || phase_ == Phase::Streaming || phase_ == Phase::GivenUp;
  if (phase_ == Phase::Open || phase_ == Phase::Streaming) leave(Phase::GivenUp);
  reportHandled(lock);
  return owed;
}

void ApiExchange::onHandled(std::function<void()> whenDone) {
  const std::lock_guard lock(mutex_);
  whenDone_ = std::move(whenDone);
}

void ApiExchange::handlerReturned() {
  std::unique_lock lock(mutex_);
  returned_ = true;
  reportHandled(lock);
}

} // namespace matrixos::api
