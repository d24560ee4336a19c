#include "Loop.h"

#include "Connection.h"
#include "LoopImpl.h"

#include <pthread.h>

#include <chrono>
#include <ctime>

namespace matrixos::edge {

namespace {

constexpr std::size_t kKeptHeads = 128;

} // namespace

Loop::Loop(unsigned index, const ServerOptions &options)
    : index_(index), options_(options), impl_(std::make_unique<Impl>()), blocks_(options.bufferSize),
      upstreams_(*this, options.idleUpstreams, options.timeouts.upstreamIdle.count()) {}

Loop::~Loop() {
  stop();
}

void Loop::start() {
  impl_->thread = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), ("edge-" + std::to_string(index_)).c_str());
    impl_->context.run();
  });
}

void Loop::stop() {
  if (!impl_->thread.joinable()) return;
  post([this] {
    closeAll();
    upstreams_.clear();
    impl_->clock.cancel();
    impl_->work.reset();
    impl_->context.stop();
  });
  impl_->thread.join();
  retired_.clear();
}

void Loop::post(std::function<void()> task) {
  asio::post(impl_->context, std::move(task));
}

void Loop::resume(std::uint64_t ticket, std::function<void(Exchange &)> then) {
  post([this, ticket, then = std::move(then)] {
    const auto found = held_.find(ticket);
    if (found != held_.end()) found->second->shielded([&] { then(*found->second); });
  });
}

std::int64_t Loop::nowMs() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

void Loop::setTimer(Timer &timer, std::int64_t deadlineMs) {
  timers_.set(timer, deadlineMs);
  if (!ticking_) tick();
}

void Loop::tick() {
  ticking_ = !timers_.empty();
  if (!ticking_) return; // an idle loop sleeps
  impl_->clock.expires_after(std::chrono::milliseconds(TimerWheel::kTickMs));
  impl_->clock.async_wait([this](const boost::system::error_code &error) {
    if (error) return;
    timers_.advance(nowMs());
    tick();
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

void Loop::adopt(std::unique_ptr<Connection> connection) {
  Connection &added = *connection;
  live_.emplace(&added, std::move(connection));
  added.start();
}

void Loop::retire(Connection &connection) {
  const auto found = live_.find(&connection);
  if (found == live_.end()) return;
  if (retired_.empty()) post([this] { retired_.clear(); });
  retired_.push_back(std::move(found->second));
  live_.erase(found);
  connections_.fetch_sub(1, std::memory_order_relaxed);
}

std::uint64_t Loop::hold(Connection &connection) {
  held_.emplace(++lastTicket_, &connection);
  return lastTicket_;
}

void Loop::drain() {
  draining_ = true;
  std::vector<Connection *> all;
  for (const auto &[key, connection] : live_)
    all.push_back(key);
  for (Connection *connection : all)
    connection->drain();
  upstreams_.clear();
}

void Loop::closeAll() {
  draining_ = true;
  while (!live_.empty())
    live_.begin()->first->close();
}

} // namespace matrixos::edge
