/// http/engine/IdleList.h: the connections of a loop that wait for a request; internal.
#pragma once

namespace matrixos::http {

class ClientConnection;

/// The place of one connection in the list. It leaves the list when it is destroyed.
class IdleLink {
public:
  explicit IdleLink(ClientConnection *owner) noexcept : owner_(owner) {}
  IdleLink(const IdleLink &) = delete;
  IdleLink &operator=(const IdleLink &) = delete;
  ~IdleLink() { unlink(); }

  void unlink() noexcept {
    next_->prev_ = prev_;
    prev_->next_ = next_;
    prev_ = next_ = this;
  }

private:
  friend class IdleList;
  IdleLink *prev_ = this;
  IdleLink *next_ = this;
  ClientConnection *owner_;
};

/// In the order in which they became idle. One thread: the loop's.
class IdleList {
public:
  /// Also moves one that is in the list already.
  void add(IdleLink &link) noexcept {
    link.unlink();
    link.prev_ = ends_.prev_;
    link.next_ = &ends_;
    ends_.prev_->next_ = &link;
    ends_.prev_ = &link;
  }
  /// Null when no connection is idle.
  ClientConnection *oldest() const noexcept { return ends_.next_->owner_; }

private:
  IdleLink ends_{nullptr};
};

} // namespace matrixos::http
