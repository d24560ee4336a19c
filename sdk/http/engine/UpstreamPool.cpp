#include "UpstreamPool.h"

#include "Loop.h"

#include <utility>

namespace matrixos::http {

namespace {

constexpr std::size_t kSpare = 256;

} // namespace

class UpstreamPool::Idle final : public SocketEvents, public Timer {
public:
  explicit Idle(UpstreamPool &pool) : pool_(pool) {}

  void keep(std::uint64_t key, std::shared_ptr<Socket> socket, std::int64_t nowMs) {
    key_ = key;
    sinceMs_ = nowMs;
    socket_ = std::move(socket);
    socket_->setUser(this);
    socket_->waitReadable();
  }

  std::uint64_t key() const noexcept { return key_; }
  /// Any byte here is one that no request asked for; treating it as the next answer would cross two users. Of a
  /// connection that became idle in this very moment the loop would have heard.
  bool usable(std::int64_t nowMs) noexcept {
    if (sinceMs_ == nowMs && !socket_->mayRead()) return true;
    char byte = 0;
    return socket_->read(&byte, 1).kind == Io::Kind::WouldBlock;
  }
  std::shared_ptr<Socket> release() noexcept {
    socket_->setUser(nullptr);
    return std::exchange(socket_, nullptr);
  }

  void onReadable() override { pool_.remove(*this); }
  void onWritable() override {}
  void onTimer() override { pool_.remove(*this); }

private:
  UpstreamPool &pool_;
  std::uint64_t key_ = 0;
  std::int64_t sinceMs_ = 0;
  std::shared_ptr<Socket> socket_;
};

UpstreamPool::UpstreamPool(Loop &loop) : loop_(loop) {}

UpstreamPool::~UpstreamPool() {
  clear();
}

std::shared_ptr<Socket> UpstreamPool::take(std::uint64_t key) {
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
  if (found->second.empty()) byKey_.erase(found);
  return socket;
}

void UpstreamPool::put(std::uint64_t key, std::shared_ptr<Socket> socket) {
  const ServerOptions &options = loop_.options();
  if (key == 0 || loop_.draining() || options.idleUpstreams == 0) return socket->close();
  auto &list = byKey_[key];
  if (list.size() >= options.idleUpstreams) return socket->close();
  if (spare_.empty()) spare_.push_back(std::make_unique<Idle>(*this));
  auto &idle = list.emplace_back(std::move(spare_.back()));
  spare_.pop_back();
  idle->keep(key, std::move(socket), loop_.nowMs());
  loop_.timers().set(*idle, loop_.nowMs() + options.timeouts.upstreamIdle.count());
  ++size_;
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

void UpstreamPool::drop(std::uint64_t key) noexcept {
  const auto found = byKey_.find(key);
  if (found == byKey_.end()) return;
  for (auto &idle : found->second)
    idle->release()->close();
  size_ -= found->second.size();
  byKey_.erase(found);
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
