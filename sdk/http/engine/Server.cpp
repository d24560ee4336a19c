#include "Server.h"

#include "ClientConnection.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <future>
#include <thread>
#include <utility>

namespace matrixos::http {

namespace {

constexpr std::size_t kShedAtOnce = 8; // per loop, when descriptors run out

std::size_t blockFor(const ServerOptions &options) {
  return std::max(options.request.bytes, options.response.bytes) * 2;
}

} // namespace

/// What becomes of the listeners.
struct Server::Change {
  struct Kept {
    std::shared_ptr<Listener> listener;
    Listener::Manner manner;
  };
  std::vector<std::shared_ptr<Listener>> all; // as they will be
  std::vector<std::shared_ptr<Listener>> opened;
  std::vector<std::shared_ptr<Listener>> gone;
  std::vector<Kept> kept;
};

Server::Server(const ServerOptions &options, SessionFactory &factory) : factory_(factory) {
  auto chosen = std::make_shared<ServerOptions>(options);
  chosen->bufferSize = std::max(chosen->bufferSize, blockFor(*chosen));
  if (chosen->loops == 0) chosen->loops = std::max(1U, std::thread::hardware_concurrency());
  options_ = chosen;
  const auto shares = std::make_shared<PeerShares>();
  for (unsigned i = 0; i < options_->loops; ++i)
    loops_.push_back(std::make_shared<Loop>(i, options_, shares));
  listeners_ = planListeners(*options_).all;
  noteAddresses();
}

/// Binds what is new. Throws when that fails; then what was bound before is closed again.
Server::Change Server::planListeners(const ServerOptions &options) {
  if (!options.tlsListen.empty() && !options.tls) {
    throw Error(Status::InvalidArgument, "an address that speaks TLS needs a certificate", "TLS");
  }
  Change change;
  change.gone = listeners_;
  Acceptor &self = *this;
  const auto plan = [&](const ListenerOptions &wanted, bool encrypted) {
    const Address address = Address::parse(wanted.address);
    const Listener::Manner manner{encrypted, wanted.unixMode.value_or(options.unixMode), wanted.tag};
    const auto same = [&](const auto &listener) {
      return listener->asked() == address || listener->bound() == address;
    };
    const auto known = std::find_if(change.gone.begin(), change.gone.end(), same);
    if (known != change.gone.end()) {
      change.kept.push_back({*known, manner});
      change.all.push_back(*known);
      change.gone.erase(known);
      return;
    }
    auto made = std::make_shared<Listener>(self, *loops_.front(), address, manner, options.inherited);
    change.opened.push_back(made);
    change.all.push_back(std::move(made));
  };
  for (const ListenerOptions &wanted : options.listen)
    plan(wanted, false);
  for (const ListenerOptions &wanted : options.tlsListen)
    plan(wanted, true);
  return change;
}

void Server::noteAddresses() {
  addresses_.clear();
  for (const auto &listener : listeners_)
    addresses_.push_back(listener->bound());
}

Server::~Server() {
  stop();
}

/// Runs the task on the loop's thread and waits for its end; throws what it throws.
void Server::run(Loop &loop, const std::function<void()> &task) {
  const auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  loop.post([done, &task] {
    try {
      task();
      done->set_value();
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  });
  ended.get();
}

void Server::start() {
  started_ = true;
  for (const auto &loop : loops_)
    loop->start();
  run(*loops_.front(), [this] {
    for (const auto &listener : listeners_)
      listener->wait();
  });
}

void Server::reconfigure(ServerOptions options, const std::function<void(Loop &)> &also) {
  if (!started_) throw Error(Status::FailedPrecondition, "the server does not run", "HTTP");
  if (blockFor(options) > options_->bufferSize) {
    throw Error(Status::FailedPrecondition,
                "a header of " + std::to_string(blockFor(options) / 2) +
                    " bytes needs a buffer of twice its size; it has " + std::to_string(options_->bufferSize) +
                    " bytes, which only a restart changes",
                "BUFFER");
  }
  options.loops = options_->loops;
  options.bufferSize = options_->bufferSize;
  auto next = std::make_shared<const ServerOptions>(std::move(options));
  Change change = planListeners(*next);
  const auto switchOver = [&](Loop &loop) {
    loop.use(next);
    if (also) also(loop);
  };
  run(*loops_.front(), [&] {
    try {
      for (const auto &listener : change.opened)
        listener->wait();
    } catch (...) {
      for (const auto &listener : change.opened)
        listener->close();
      throw;
    }
    for (const auto &listener : change.gone)
      listener->close();
    for (const auto &[listener, manner] : change.kept)
      listener->change(manner);
    switchOver(*loops_.front());
  });
  for (const auto &loop : loops_) {
    if (loop != loops_.front()) run(*loop, [&] { switchOver(*loop); });
  }
  listeners_ = std::move(change.all);
  options_ = std::move(next);
  noteAddresses();
}

void Server::accepted(int fd, const Address &peer, const Listener &listener) noexcept {
  try {
    place(fd, peer, listener);
  } catch (const std::exception &) {
    ::close(fd); // out of memory: this client is lost, the others are not
    noteAcceptFailure(ENOMEM);
  }
}

void Server::acceptFailed(int error) noexcept {
  noteAcceptFailure(error);
  try {
    for (const auto &loop : loops_) {
      loop->post([&loop = *loop] {
        for (std::size_t i = 0; i < kShedAtOnce && loop.shed(); ++i) {
        }
      });
    }
  } catch (const std::exception &) {
    // out of memory as well: the listener tries again soon
  }
}

void Server::noteAcceptFailure(int error) noexcept {
  acceptError_.store(error, std::memory_order_relaxed);
  acceptFailures_.fetch_add(1, std::memory_order_relaxed);
}

void Server::place(int fd, const Address &peer, const Listener &listener) {
  const ServerOptions &options = loops_.front()->options();
  const bool full = connections() >= options.maxConnections;
  // When all are full, the one that can make room.
  const auto before = [full](const auto &a, const auto &b) {
    return full && a->sheddable() != b->sheddable() ? a->sheddable() > b->sheddable()
                                                    : a->connections().load() < b->connections().load();
  };
  const auto &loop = *std::min_element(loops_.begin(), loops_.end(), before);
  const auto [encrypted, mode, tag] = listener.manner();
  // Of its own: the loop may have other options by the time it is there.
  auto tls = encrypted ? options.tls : nullptr;
  auto &count = full ? loop->turnedAway() : loop->connections();
  count.fetch_add(1);
  const auto adopt = [this, &loop = *loop, &count, fd, peer, tag = tag, full, tls = std::move(tls)] {
    if (loop.draining()) {
      ::close(fd);
      count.fetch_sub(1);
      return;
    }
    try {
      auto socket = Socket::adopt(loop, fd, tls.get());
      loop.adopt(std::make_unique<ClientConnection>(loop, std::move(socket), peer, tag, factory_), full);
    } catch (const std::exception &) {
      count.fetch_sub(1); // out of memory or descriptors
    }
  };
  try {
    loop->post(adopt);
  } catch (...) {
    count.fetch_sub(1);
    throw;
  }
}

Server::AcceptFailures Server::takeAcceptFailures() noexcept {
  return {acceptFailures_.exchange(0, std::memory_order_relaxed), acceptError_.load(std::memory_order_relaxed)};
}

std::size_t Server::connections() const noexcept {
  std::size_t sum = 0;
  for (const auto &loop : loops_)
    sum += loop->connections().load();
  return sum;
}

void Server::retire(const Upstream::Candidate &gone, std::chrono::milliseconds grace) {
  if (gone.retirement) gone.retirement->setAt(monotonicNanos() / 1'000'000 + grace.count());
  for (const auto &loop : loops_)
    loop->post([&loop = *loop, gone] { loop.upstreams().drop(gone); });
}

bool Server::drain(std::chrono::milliseconds deadline) {
  if (!started_) return true;
  loops_.front()->post([this] {
    for (const auto &listener : listeners_)
      listener->close();
    // After the listeners, so that every accepted socket reaches its loop before that loop refuses new ones.
    for (const auto &loop : loops_)
      loop->post([&loop = *loop] { loop.drain(); });
  });
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (connections() != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return connections() == 0;
}

void Server::stop() {
  if (!started_) return;
  started_ = false;
  // The acceptor first: it posts to the other loops.
  run(*loops_.front(), [this] {
    for (const auto &listener : listeners_)
      listener->close();
  });
  for (auto loop = loops_.rbegin(); loop != loops_.rend(); ++loop)
    (*loop)->stop();
  listeners_.clear();
}

} // namespace matrixos::http
