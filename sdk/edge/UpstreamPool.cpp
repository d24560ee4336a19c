#include "UpstreamPool.h"

#include "Loop.h"

namespace matrixos::edge {

class UpstreamPool::Idle final : public SocketEvents, public Timer {
public:
  Idle(UpstreamPool &pool, std::uint64_t key, std::shared_ptr<Socket> socket)
      : pool_(pool), key_(key), socket_(std::move(socket)) {
    socket_->setUser(this);
    socket_->waitReadable();
  }

  std::uint64_t key() const noexcept { return key_; }
  Socket &socket() noexcept { return *socket_; }
  /// Any byte here is one that no request asked for; treating it as the next answer would cross two users.
  bool usable() noexcept {
    char byte = 0;
    return socket_->read(&byte, 1).kind == Io::Kind::WouldBlock;
  }
  std::shared_ptr<Socket> release() noexcept {
    socket_->setUser(nullptr);
    return std::move(socket_);
  }

  void onReadable() override { pool_.remove(*this); }
  void onWritable() override {}
  void onTimer() override { pool_.remove(*this); }

private:
  UpstreamPool &pool_;
  std::uint64_t key_;
  std::shared_ptr<Socket> socket_;
};

UpstreamPool::UpstreamPool(Loop &loop, std::size_t perKey, std::int64_t idleMs)
    : loop_(loop), perKey_(perKey), idleMs_(idleMs) {}

UpstreamPool::~UpstreamPool() {
  clear();
}

std::shared_ptr<Socket> UpstreamPool::take(std::uint64_t key) {
  removed_.clear();
  const auto found = byKey_.find(key);
  if (found == byKey_.end()) return nullptr;
  std::shared_ptr<Socket> socket;
  while (!found->second.empty() && !socket) {
    auto idle = std::move(found->second.back());
    found->second.pop_back();
    --size_;
    if (idle->usable())
      socket = idle->release();
    else
      idle->socket().close();
  }
  if (found->second.empty()) byKey_.erase(found);
  return socket;
}

void UpstreamPool::put(std::uint64_t key, std::shared_ptr<Socket> socket) {
  removed_.clear();
  if (key == 0 || loop_.draining()) return socket->close();
  auto &list = byKey_[key];
  if (list.size() >= perKey_) return socket->close();
  auto &idle = list.emplace_back(std::make_unique<Idle>(*this, key, std::move(socket)));
  loop_.timers().set(*idle, Loop::nowMs() + idleMs_);
  ++size_;
}

void UpstreamPool::remove(Idle &idle) {
  const auto found = byKey_.find(idle.key());
  if (found == byKey_.end()) return;
  auto &list = found->second;
  for (auto at = list.begin(); at != list.end(); ++at) {
    if (at->get() != &idle) continue;
    idle.socket().close();
    loop_.timers().cancel(idle);
    removed_.push_back(std::move(*at));
    list.erase(at);
    --size_;
    break;
  }
  if (list.empty()) byKey_.erase(found);
}

void UpstreamPool::clear() noexcept {
  for (auto &[key, list] : byKey_) {
    for (auto &idle : list)
      idle->socket().close();
  }
  byKey_.clear();
  removed_.clear();
  size_ = 0;
}

} // namespace matrixos::edge
