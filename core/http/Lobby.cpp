#include "http/Lobby.h"

#include "http/ResponseHead.h"

#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace matrixos::api {

namespace {

constexpr int kTickMs = 100;
constexpr std::size_t kMaxLinger = 256 * 1024;
/// Keys of epoll events: descriptors for guests, above them the listeners and the wake-up.
constexpr std::uint64_t kListenerKey = std::uint64_t{1} << 32U;
constexpr std::uint64_t kWakeKey = std::uint64_t{1} << 33U;
constexpr int kAcceptBatch = 64;

} // namespace

Lobby::Lobby(Options options, std::shared_ptr<AdmissionQueue> queue)
    : options_(std::move(options)), queue_(std::move(queue)), epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (epoll_ < 0 || wake_ < 0) {
    throw Error(Status::Unavailable, std::string("the API server gets no descriptors: ") + std::strerror(errno));
  }
  watch(wake_, kWakeKey);
}

Lobby::~Lobby() {
  shutdown();
  ::close(epoll_);
  ::close(wake_);
}

void Lobby::addListener(std::unique_ptr<Listener> listener) {
  listeners_.push_back(std::move(listener));
}

void Lobby::start() {
  for (std::size_t i = 0; i < listeners_.size(); ++i)
    watch(listeners_[i]->fd(), kListenerKey + i);
  thread_ = std::thread([this] { run(); });
}

void Lobby::stopAccepting() {
  std::unique_lock lock(mutex_);
  stopAccepting_ = true;
  ::eventfd_write(wake_, 1);
  changed_.wait(lock, [&] { return listenersClosed_ || gone_ || !thread_.joinable(); });
}

void Lobby::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    shutdown_ = true;
    ::eventfd_write(wake_, 1);
  }
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  gone_ = true;
  returned_.clear();
  closeListeners();
  changed_.notify_all();
}

void Lobby::giveBack(std::unique_ptr<Connection> connection, After after) {
  const std::lock_guard lock(mutex_);
  if (shutdown_) return;
  returned_.push_back({std::move(connection), after});
  ::eventfd_write(wake_, 1);
}

void Lobby::watch(int fd, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Lobby::run() {
  std::array<epoll_event, 128> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                   guests_.empty() && !acceptPaused_ ? -1 : kTickMs);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
      if (key == kWakeKey) {
        eventfd_t drained = 0;
        ::eventfd_read(wake_, &drained);
      } else if (key >= kListenerKey) {
        const auto index = static_cast<std::size_t>(key - kListenerKey);
        if (index < listeners_.size()) acceptFrom(*listeners_[index]);
      } else if (const auto guest = guests_.find(static_cast<int>(key)); guest != guests_.end()) {
        onReadable(guest->second);
      }
    }
    takeReturned();
    expire();
    const std::lock_guard lock(mutex_);
    if (stopAccepting_ && !listenersClosed_) {
      closeListeners();
      draining_ = true;
      listenersClosed_ = true;
      changed_.notify_all();
    }
    if (shutdown_) break;
  }
  guests_.clear();
}

void Lobby::closeListeners() {
  listeners_.clear();
}

void Lobby::takeReturned() {
  std::vector<Returned> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(returned_);
  }
  for (Returned &item : batch)
    settle(std::move(item.connection), item.after);
}

void Lobby::acceptFrom(Listener &listener) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    int error = 0;
    auto connection = listener.accept(error);
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      // The listener stays readable, so asking again at once would spin; the next tick asks again.
      acceptPaused_ = true;
      for (const auto &each : listeners_)
        ::epoll_ctl(epoll_, EPOLL_CTL_DEL, each->fd(), nullptr);
      return;
    }
    if (!connection) {
      if (error == ECONNABORTED || error == EINTR) continue;
      return;
    }
    if (guests_.size() + queue_->open() >= options_.maxConnections && !makeRoom()) {
      Problem full{503, "the server has too many connections; try again", "TOO_MANY_CONNECTIONS", 1000, {}};
      const std::string id = makeUlid();
      connection->sendNow(problemResponse(full, id, 1, false));
      if (options_.onRefused) options_.onRefused(full.status, connection->bytesSent(), id);
      continue;
    }
    settle(std::move(connection), After::KeepAlive);
  }
}

void Lobby::settle(std::unique_ptr<Connection> connection, After after) {
  const int fd = connection->fd();
  const auto [entry, added] = guests_.emplace(fd, Guest{std::move(connection), RequestGate(options_.limits),
                                                        State::AwaitHead, Clock::now() + options_.idleTimeout, 0});
  Guest &guest = entry->second;
  watch(fd, static_cast<std::uint64_t>(fd));
  if (after == After::Close)
    linger(guest);
  else
    advance(guest);
}

void Lobby::onReadable(Guest &guest) {
  Connection &connection = *guest.connection;
  const Connection::Read read = connection.receiveNow();
  if (read == Connection::Read::TimedOut) return;
  if (read == Connection::Read::End) return leave(guest);
  if (guest.state == State::AwaitHead) return advance(guest);
  guest.lingered += connection.input().size();
  connection.input().clear();
  if (guest.lingered > kMaxLinger) leave(guest);
}

void Lobby::advance(Guest &guest) {
  Connection &connection = *guest.connection;
  if (connection.input().empty()) {
    if (draining_) leave(guest);
    return;
  }
  if (!guest.gate.started()) {
    connection.requestStart = Clock::now();
    guest.deadline = connection.requestStart + options_.headTimeout;
  }
  switch (guest.gate.examine(connection.input())) {
  case RequestGate::Verdict::NeedMore:
    return;
  case RequestGate::Verdict::Admitted:
    return admit(guest);
  case RequestGate::Verdict::Refused:
    return refuse(guest, Problem{guest.gate.status(), guest.gate.fault(), "BAD_REQUEST", 0, {}});
  }
}

void Lobby::admit(Guest &guest) {
  if (draining_) return refuse(guest, Problem{503, "the server is stopping", "STOPPING", 1000, {}});
  Connection &connection = *guest.connection;
  const std::size_t headBytes = guest.gate.headBytes();
  connection.head() = guest.gate.takeHead();
  // Out of the watch before a worker may own it: the worker could close the descriptor at any moment afterwards.
  const int fd = connection.fd();
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  connection.input().erase(0, headBytes);
  if (queue_->offer(guest.connection)) {
    guests_.erase(fd);
    return;
  }
  watch(fd, static_cast<std::uint64_t>(fd));
  refuse(guest, Problem{503, "all workers are busy; try again", "OVERLOADED", 1000, {}});
}

void Lobby::refuse(Guest &guest, const Problem &problem) {
  const std::string id = makeUlid();
  const std::uint64_t before = guest.connection->bytesSent();
  guest.connection->sendNow(problemResponse(problem, id, 1, false));
  if (options_.onRefused) options_.onRefused(problem.status, guest.connection->bytesSent() - before, id);
  linger(guest);
}

void Lobby::linger(Guest &guest) {
  // Closing with unread input makes TCP send a reset, which may overtake the answer.
  ::shutdown(guest.connection->fd(), SHUT_WR);
  guest.connection->input().clear();
  guest.state = State::Linger;
  guest.deadline = Clock::now() + options_.lingerTimeout;
}

void Lobby::leave(Guest &guest) {
  guests_.erase(guest.connection->fd());
}

void Lobby::expire() {
  const Clock::time_point now = Clock::now();
  if (!draining_ && now < nextExpiry_) return;
  nextExpiry_ = now + std::chrono::milliseconds(kTickMs);
  for (auto entry = guests_.begin(); entry != guests_.end();) {
    Guest &guest = entry->second;
    ++entry;
    const bool idle = guest.state == State::AwaitHead && guest.connection->input().empty();
    if (idle && draining_) {
      leave(guest);
    } else if (now >= guest.deadline) {
      if (guest.state == State::Linger || idle)
        leave(guest);
      else
        refuse(guest, Problem{408, "the request head did not arrive in time", "HEAD_TIMEOUT", 0, {}});
    }
  }
  if (!std::exchange(acceptPaused_, false)) return;
  for (std::size_t i = 0; i < listeners_.size(); ++i)
    watch(listeners_[i]->fd(), kListenerKey + i);
}

bool Lobby::makeRoom() {
  Guest *oldest = nullptr;
  for (auto &[fd, guest] : guests_) {
    const bool idle = guest.state == State::Linger || guest.connection->input().empty();
    if (idle && (oldest == nullptr || guest.deadline < oldest->deadline)) oldest = &guest;
  }
  if (oldest == nullptr) return false;
  leave(*oldest);
  return true;
}

} // namespace matrixos::api
