#include "http/Exchange.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace matrixos::api {

namespace {

/// How often a waiting worker looks whether the client is still there.
constexpr std::chrono::milliseconds kGoneCheck{100};

std::string asChunk(std::string_view bytes) {
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  std::string chunk = size.data();
  chunk.append(bytes).append("\r\n");
  return chunk;
}

} // namespace

Exchange::Exchange(ExchangeData data, Connection &connection, std::shared_ptr<StreamBudget> streams,
                   std::chrono::milliseconds sendTimeout)
    : data_(std::move(data)), streams_(std::move(streams)), sendTimeout_(sendTimeout), connection_(&connection) {
  keepAlive_ = data_.head.keepAlive;
}

Exchange::~Exchange() {
  if (holdsStream_) streams_->giveBack();
}

std::optional<std::string_view> Exchange::param(std::string_view name) const {
  const auto &names = data_.route->names;
  for (std::size_t i = 0; i < names.size() && i < data_.params.size(); ++i) {
    if (names[i] == name) return data_.params[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> Exchange::queryParam(std::string_view name) const {
  for (const auto &[key, value] : data_.query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

bool Exchange::gone() const {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::GivenUp || serverGaveUp_) return true;
  return connection_ != nullptr && connection_->peerGone();
}

bool Exchange::open() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::Open || phase_ == Phase::Streaming;
}

void Exchange::requireOpen() const {
  if (phase_ != Phase::Open) {
    throw Error(Status::NotFound, "the exchange was answered or given up", "EXCHANGE_OVER");
  }
}

Exchange::Answer Exchange::answerOf(const Problem &problem, const std::string &requestId) {
  return {problem.status, std::string(kProblemType), problemFields(problem), problemBody(problem, requestId)};
}

void Exchange::giveAnswer(Answer answer) {
  answer_ = std::move(answer);
  phase_ = Phase::Answered;
  changed_.notify_all();
}

void Exchange::respond(int status, std::string contentType, std::vector<Field> fields, std::string body) {
  checkResponse(status, contentType, fields);
  if (bodyless(status) && !body.empty()) {
    throw Error(Status::InvalidArgument, "an answer with status " + std::to_string(status) + " has no body");
  }
  const std::lock_guard lock(mutex_);
  requireOpen();
  giveAnswer({status, std::move(contentType), std::move(fields), std::move(body)});
}

void Exchange::fail(Problem problem) {
  if (problem.status < 400 || problem.status > 599) problem.status = 500;
  const std::lock_guard lock(mutex_);
  requireOpen();
  giveAnswer(answerOf(problem, data_.requestId));
}

bool Exchange::handlerFailed(Problem problem) {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) {
    giveAnswer(answerOf(problem, data_.requestId));
    return true;
  }
  if (phase_ != Phase::Streaming) return false;
  phase_ = Phase::GivenUp;
  if (connection_ != nullptr) connection_->abort();
  changed_.notify_all();
  return true;
}

void Exchange::cancel(const Problem &problem) {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::Open) {
    serverGaveUp_ = true;
    giveAnswer(answerOf(problem, data_.requestId));
  } else if (phase_ == Phase::Streaming) {
    phase_ = Phase::GivenUp;
    if (connection_ != nullptr) connection_->abort();
    changed_.notify_all();
  }
}

ResponseHead Exchange::headOf(int status, std::string contentType, std::vector<Field> fields) const {
  ResponseHead head;
  head.status = status;
  head.contentType = std::move(contentType);
  head.fields = std::move(fields);
  head.requestId = data_.requestId;
  head.minorVersion = data_.head.minorVersion;
  return head;
}

void Exchange::begin(int status, std::string contentType, std::vector<Field> fields) {
  checkResponse(status, contentType, fields);
  if (bodyless(status)) throw Error(Status::InvalidArgument, "an answer with this status has no body to stream");
  std::unique_lock lock(mutex_);
  requireOpen();
  if (!streams_->tryTake()) {
    throw Error(Status::ResourceExhausted, "too many answers are streamed at once; try again", "TOO_MANY_STREAMS",
                1000);
  }
  holdsStream_ = true;
  phase_ = Phase::Streaming;
  answer_.status = status;
  ResponseHead head = headOf(status, std::move(contentType), std::move(fields));
  if (head.minorVersion == 0) keepAlive_ = false;
  head.keepAlive = keepAlive_;
  sendStreamed(lock, serialize(head));
}

void Exchange::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) throw Error(Status::FailedPrecondition, "begin() has to come before write()");
  // One part at a time, whole, however many threads write.
  changed_.wait(lock, [&] { return !writing_ || phase_ != Phase::Streaming; });
  if (phase_ == Phase::GivenUp || serverGaveUp_) {
    throw Error(Status::Cancelled, "nobody waits for the rest of this answer", "CLIENT_GONE");
  }
  if (phase_ != Phase::Streaming) throw Error(Status::NotFound, "the exchange was answered", "EXCHANGE_OVER");
  // An empty chunk would end the stream (RFC 9112 §7.1).
  if (bytes.empty() || data_.head.method == "HEAD") return;
  const bool sent = data_.head.minorVersion == 0 ? sendStreamed(lock, bytes) : sendStreamed(lock, asChunk(bytes));
  if (!sent) throw Error(Status::Cancelled, "the client has gone", "CLIENT_GONE");
}

bool Exchange::sendStreamed(std::unique_lock<std::mutex> &lock, std::string_view bytes) {
  Connection *connection = connection_;
  if (connection == nullptr) return false;
  // settle() keeps the connection alive while writing_ is set.
  writing_ = true;
  lock.unlock();
  const bool sent = connection->send(bytes, {}, sendTimeout_);
  lock.lock();
  writing_ = false;
  if (!sent && phase_ == Phase::Streaming) phase_ = Phase::GivenUp;
  changed_.notify_all();
  return sent && phase_ == Phase::Streaming;
}

void Exchange::end() {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::Open) throw Error(Status::FailedPrecondition, "begin() has to come before end()");
  changed_.wait(lock, [&] { return !writing_ || phase_ != Phase::Streaming; });
  if (phase_ == Phase::GivenUp) throw Error(Status::Cancelled, "the client has gone", "CLIENT_GONE");
  if (phase_ != Phase::Streaming) throw Error(Status::NotFound, "the exchange was answered", "EXCHANGE_OVER");
  const bool chunked = data_.head.minorVersion != 0 && data_.head.method != "HEAD";
  if (chunked && !sendStreamed(lock, "0\r\n\r\n")) throw Error(Status::Cancelled, "the client has gone", "CLIENT_GONE");
  phase_ = Phase::Ended;
  changed_.notify_all();
}

Exchange::Result Exchange::settle(Clock::time_point deadline, const std::atomic<bool> &stopping) {
  std::unique_lock lock(mutex_);
  const auto decided = [&] { return phase_ != Phase::Open && phase_ != Phase::Streaming && !writing_; };
  while (!changed_.wait_until(lock, Clock::now() + kGoneCheck, decided)) {
    if (writing_) continue;
    if (connection_->peerGone()) {
      phase_ = Phase::GivenUp;
    } else if (phase_ == Phase::Open && Clock::now() >= deadline) {
      serverGaveUp_ = true;
      giveAnswer(answerOf({504, "the platform did not answer in time", "TIMEOUT", 0, {}}, data_.requestId));
    }
  }
  if (phase_ == Phase::Answered) {
    // Nobody else touches answer_ and connection_ in this phase.
    lock.unlock();
    const Result result = sendAnswer(data_.head.keepAlive && !stopping);
    lock.lock();
    connection_ = nullptr;
    return result;
  }
  connection_ = nullptr;
  changed_.notify_all();
  Result result;
  result.status = answer_.status;
  result.reusable = phase_ == Phase::Ended && keepAlive_ && !stopping;
  result.abandoned = phase_ == Phase::GivenUp;
  return result;
}

Exchange::Result Exchange::sendAnswer(bool keepAlive) {
  ResponseHead head = headOf(answer_.status, answer_.contentType, answer_.fields);
  head.contentLength = answer_.body.size();
  head.keepAlive = keepAlive;
  const bool withBody = data_.head.method != "HEAD" && !bodyless(head.status);
  Result result;
  result.status = head.status;
  result.reusable = connection_->send(serialize(head), withBody ? std::string_view(answer_.body) : std::string_view{},
                                      sendTimeout_) &&
                    keepAlive;
  result.abandoned = serverGaveUp_;
  return result;
}

} // namespace matrixos::api
