/// http/engine/IdleList.h: the connections of a loop that can make room for others; internal.
#pragma once

#include <atomic>
#include <cstddef>

namespace matrixos::http {

class ClientConnection;
class IdleList;

/// The place of one connection in a list. It leaves the list when it is destroyed.
class IdleLink {
public:
  explicit IdleLink(ClientConnection *owner) noexcept : owner_(owner) {}
  IdleLink(const IdleLink &) = delete;
  IdleLink &operator=(const IdleLink &) = delete;
  ~IdleLink() { unlink(); }

  bool linked() const noexcept { return list_ != nullptr; }
  inline void unlink() noexcept;

private:
  friend class IdleList;
  IdleLink *prev_ = this;
  IdleLink *next_ = this;
  IdleList *list_ = nullptr;
  ClientConnection *owner_;
};

/// In the order in which they were added. One thread, the loop's, but for size().
class IdleList {
public:
  /// Also moves one that is in a list already.
  void add(IdleLink &link) noexcept {
    link.unlink();
    link.prev_ = ends_.prev_;
    link.next_ = &ends_;
    ends_.prev_->next_ = &link;
    ends_.prev_ = &link;
    link.list_ = this;
    count(size() + 1);
  }
  /// Null when there is none.
  ClientConnection *oldest() const noexcept { return ends_.next_->owner_; }
  /// The oldest one for which that holds, among as many of the oldest; null when there is none.
  ClientConnection *findAmong(std::size_t most, auto &&holds) const noexcept {
    for (IdleLink *link = ends_.next_; link != &ends_ && most != 0; link = link->next_, --most)
      if (holds(*link->owner_)) return link->owner_;
    return nullptr;
  }
  /// [any-thread]
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

private:
  friend class IdleLink;
  // One thread writes: no need for an instruction that locks the bus.
  void count(std::size_t now) noexcept { size_.store(now, std::memory_order_relaxed); }

  IdleLink ends_{nullptr};
  std::atomic<std::size_t> size_{0};
};

void IdleLink::unlink() noexcept {
  next_->prev_ = prev_;
  prev_->next_ = next_;
  prev_ = next_ = this;
  if (list_ != nullptr) list_->count(list_->size() - 1);
  list_ = nullptr;
}

} // namespace matrixos::http
