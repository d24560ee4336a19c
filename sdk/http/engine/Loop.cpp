#include "Loop.h"

#include "ClientConnection.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <iterator>

namespace matrixos::http {

namespace {

constexpr std::size_t kKeptHeads = 128;

/// Clients without a place that are asked what they want, or told to come again. Closing at once would reset them, and
/// destroy the answer on its way, whenever their request is here already.
constexpr std::size_t kMostTurnedAway = 256;

constexpr std::int64_t kStillMs = 500; // between two rounds that are a tick apart at most

std::int64_t coarseNow() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

} // namespace

Loop::Loop(unsigned index, std::shared_ptr<const ServerOptions> options, std::shared_ptr<PeerShares> shares)
    : index_(index), options_(std::move(options)), blocks_(options_->bufferSize), upstreams_(*this),
      shares_(std::move(shares)) {
  nowMs_ = coarseNow();
}

void Loop::use(std::shared_ptr<const ServerOptions> options) {
  options_ = std::move(options);
  for (const auto &[key, connection] : live_)
    key->arm();
}

Loop::~Loop() {
  stop();
  endRests();
}

void Loop::start() {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), (options_->threadName + "-" + std::to_string(index_)).substr(0, 15).c_str());
    run();
  });
}

void Loop::run() {
  // OpenSSL writes with write(2), which says it with a signal that the peer has gone.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  while (running_) {
    reactor_.wait(patience());
    turn(coarseNow());
  }
}

void Loop::turn(std::int64_t nowMs) {
  const bool stoodStill = nowMs - nowMs_ > kStillMs;
  nowMs_ = nowMs;
  reactor_.dispatch();
  if (stoodStill) {
    // The process was stopped, or the machine was: what has come meanwhile was not late, so it counts before deadlines.
    reactor_.wait(0);
    reactor_.dispatch();
  }
  timers_.advance(nowMs_);
  retired_.clear();
  endedRests_.clear();
}

int Loop::patience() const noexcept {
  if (timers_.empty()) return -1;
  constexpr std::int64_t kLongest = 60'000;
  return static_cast<int>(std::clamp<std::int64_t>(timers_.nextMs() - nowMs_, 1, kLongest));
}

void Loop::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    closeAll();
    upstreams_.clear();
    running_ = false;
  });
  thread_.join();
}

void Loop::post(std::function<void()> task) {
  reactor_.post(std::move(task));
}

void Loop::resume(std::uint64_t ticket, std::function<void(ClientExchange &)> then) {
  post([this, ticket, then = std::move(then)] {
    const auto found = held_.find(ticket);
    if (found != held_.end()) found->second->shielded([&] { then(*found->second); });
  });
}

std::unique_ptr<RequestHead> Loop::takeRequestHead() {
  if (heads_.empty()) return std::make_unique<RequestHead>();
  auto head = std::move(heads_.back());
  heads_.pop_back();
  return head;
}

void Loop::giveRequestHead(std::unique_ptr<RequestHead> head) {
  if (heads_.size() < kKeptHeads) heads_.push_back(std::move(head));
}

void Loop::adopt(std::unique_ptr<ClientConnection> connection, bool full) {
  ClientConnection &added = *connection;
  live_.emplace(&added, std::move(connection));
  if (full && shed()) {
    turnedAway_.fetch_sub(1, std::memory_order_relaxed);
    connections_.fetch_add(1, std::memory_order_relaxed);
    full = false;
  }
  full ? letIn(added, "too many connections are open; try again in a moment") : added.start();
}

void Loop::turnAway(ClientConnection &connection, const char *reason) {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  turnedAway_.fetch_add(1, std::memory_order_relaxed);
  letIn(connection, reason);
}

/// Among those that are turned away there is room for who says at once what it wants.
void Loop::letIn(ClientConnection &connection, const char *reason) {
  connection.turnAway(reason);
  if (turnedAway_.load(std::memory_order_relaxed) > kMostTurnedAway && away_.oldest() != nullptr)
    away_.oldest()->close();
}

bool Loop::shed() {
  return closeOlder(idle_.oldest(), halfHeads_.oldest());
}

bool Loop::shedOf(const Address &peer) {
  // Who has so many that it may have no more is found among the first.
  constexpr std::size_t kMostLooks = 64;
  const auto theirs = [&](const ClientConnection &one) { return PeerShares::sameClient(one.peer(), peer); };
  return closeOlder(idle_.findAmong(kMostLooks, theirs), halfHeads_.findAmong(kMostLooks, theirs));
}

/// Not the idle one in any case: it may have been accepted just now, and its request be on its way.
bool Loop::closeOlder(ClientConnection *idle, ClientConnection *half) {
  ClientConnection *gone = idle == nullptr || (half != nullptr && half->sinceMs() < idle->sinceMs()) ? half : idle;
  if (!options_->shedIdle || gone == nullptr) return false;
  gone->close();
  return true;
}

void Loop::retire(ClientConnection &connection) {
  const auto found = live_.find(&connection);
  if (found == live_.end()) return;
  retired_.push_back(std::move(found->second));
  live_.erase(found);
  (connection.isTurnedAway() ? turnedAway_ : connections_).fetch_sub(1, std::memory_order_relaxed);
}

std::uint64_t Loop::hold(ClientConnection &connection) {
  held_.emplace(++lastTicket_, &connection);
  return lastTicket_;
}

void Loop::readRest(RestReader::Answer &&answer, BodyObserver::Rest &&rest) {
  while (!rests_.empty() && rests_.size() >= options_->mostRests)
    rests_.front().end(false);
  rests_.emplace_back(*this, std::move(answer), std::move(rest));
  rests_.back().start(std::prev(rests_.end()));
}

void Loop::endRests() noexcept {
  while (!rests_.empty())
    rests_.front().end(false);
}

void Loop::drain() {
  draining_ = true;
  endRests();
  std::vector<ClientConnection *> all;
  for (const auto &[key, connection] : live_)
    all.push_back(key);
  for (ClientConnection *connection : all)
    connection->drain();
  upstreams_.clear();
}

void Loop::closeAll() {
  draining_ = true;
  endRests();
  while (!live_.empty())
    live_.begin()->first->close();
}

} // namespace matrixos::http
