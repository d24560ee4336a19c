#include "UpstreamPool.h"

#include "Loop.h"

#include <algorithm>
#include <utility>

namespace matrixos::http {

namespace {

constexpr std::size_t kSpare = 256;

} // namespace

class UpstreamPool::Idle final : public SocketEvents, public Timer {
public:
  explicit Idle(UpstreamPool &pool) : pool_(pool) {}

  void keep(const PoolKey &key, std::shared_ptr<Socket> socket, std::int64_t nowMs) {
    key_ = key;
    sinceMs_ = nowMs;
    socket_ = std::move(socket);
    socket_->setUser(this);
    socket_->waitReadable();
  }

  const PoolKey &key() const noexcept { return key_; }
  /// Any byte here is one that no request asked for; treating it as the next answer would cross two users. Of a
  /// connection that became idle in this very moment the loop would have heard.
  bool usable(std::int64_t nowMs) noexcept {
    if (sinceMs_ == nowMs && !socket_->mayRead()) return true;
    return socket_->isSilent();
  }
  std::shared_ptr<Socket> release() noexcept {
    socket_->setUser(nullptr);
    return std::exchange(socket_, nullptr);
  }

  void onReadable() override {
    // TLS has things of its own to say, new sessions above all (RFC 8446 §4.6).
    if (socket_->isEncrypted() && socket_->isSilent()) return socket_->waitReadable();
    pool_.remove(*this);
  }
  void onWritable() override {}
  void onTimer() override { pool_.remove(*this); }

private:
  UpstreamPool &pool_;
  PoolKey key_;
  std::int64_t sinceMs_ = 0;
  std::shared_ptr<Socket> socket_;
};

UpstreamPool::UpstreamPool(Loop &loop) : loop_(loop) {}

UpstreamPool::~UpstreamPool() {
  clear();
}

std::shared_ptr<Socket> UpstreamPool::take(const PoolKey &key) {
  const auto found = byKey_.find(key);
  if (found == byKey_.end()) return nullptr;
  std::shared_ptr<Socket> socket;
  while (!found->second.empty() && !socket) {
    auto idle = std::move(found->second.back());
    found->second.pop_back();
    --size_;
    loop_.timers().cancel(*idle);
    const bool usable = idle->usable(loop_.nowMs());
    socket = idle->release();
    if (!usable) std::exchange(socket, nullptr)->close();
    giveBack(std::move(idle));
  }
  return socket; // and with it most likely comes back
}

void UpstreamPool::put(const PoolKey &key, std::shared_ptr<Socket> socket) {
  const ServerOptions &options = loop_.options();
  if (key.upstream == 0 || loop_.draining() || options.idleUpstreams == 0) return socket->close();
  if (byKey_.size() >= sweepAt_) sweep();
  auto &list = byKey_[key];
  if (list.size() >= options.idleUpstreams) return socket->close();
  if (spare_.empty()) spare_.push_back(std::make_unique<Idle>(*this));
  auto &idle = list.emplace_back(std::move(spare_.back()));
  spare_.pop_back();
  idle->keep(key, std::move(socket), loop_.nowMs());
  loop_.timers().set(*idle, loop_.nowMs() + options.timeouts.upstreamIdle.count());
  ++size_;
}

/// Upstreams without an idle connection are forgotten, now and then.
void UpstreamPool::sweep() {
  std::erase_if(byKey_, [](const auto &entry) { return entry.second.empty(); });
  sweepAt_ = std::max(kLeastSweep, 2 * byKey_.size());
}

void UpstreamPool::remove(Idle &idle) {
  const auto found = byKey_.find(idle.key());
  if (found == byKey_.end()) return;
  auto &list = found->second;
  for (auto at = list.begin(); at != list.end(); ++at) {
    if (at->get() != &idle) continue;
    idle.release()->close();
    loop_.timers().cancel(idle);
    giveBack(std::move(*at));
    list.erase(at);
    --size_;
    break;
  }
  if (list.empty()) byKey_.erase(found);
}

void UpstreamPool::giveBack(std::unique_ptr<Idle> idle) {
  if (spare_.size() < kSpare) spare_.push_back(std::move(idle));
}

void UpstreamPool::drop(const Upstream::Candidate &gone) noexcept {
  if (!gone.host) {
    const auto found = byKey_.find({gone.key, 0, gone.tls ? gone.tls->id() : 0});
    if (found == byKey_.end()) return;
    discard(found->second);
    byKey_.erase(found);
    return;
  }
  // A name may have led to several places.
  for (auto at = byKey_.begin(); at != byKey_.end();) {
    if (at->first.upstream != gone.key) {
      ++at;
      continue;
    }
    discard(at->second);
    at = byKey_.erase(at);
  }
}

void UpstreamPool::discard(std::vector<std::unique_ptr<Idle>> &list) noexcept {
  for (auto &idle : list)
    idle->release()->close();
  size_ -= list.size();
}

void UpstreamPool::clear() noexcept {
  for (auto &[key, list] : byKey_) {
    for (auto &idle : list)
      idle->release()->close();
  }
  byKey_.clear();
  spare_.clear();
  size_ = 0;
}

} // namespace matrixos::http
