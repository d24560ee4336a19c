/// http/engine/Listener.h: one address that clients connect to; internal.
#pragma once

#include "Reactor.h"
#include "Timers.h"

#include <matrixos/address.hpp>

#include <sys/types.h>

#include <string>
#include <vector>

namespace matrixos::http {

class Listener;
class Loop;

/// Takes what a listener accepts. On the listener's loop.
class Acceptor {
public:
  virtual void accepted(int fd, const Address &peer, const Listener &listener) noexcept = 0;
  /// Descriptors or memory have run out; the listener tries again in a moment. `error`: see errno(3).
  virtual void acceptFailed(int error) noexcept = 0;

protected:
  ~Acceptor() = default;
};

/// Binds and listens at once, or shares a socket that does so already; accepts from wait() on. The descriptor is bound
/// on the thread that constructs it, the rest happens on the loop.
class Listener final : public Pollable, public Timer {
public:
  /// How its clients are served; may change while it listens.
  struct Manner {
    bool encrypted = false;
    mode_t unixMode = 0660;
    int tag = 0;
  };

  /// `asked` is the address as it was configured. Throws matrixos::Error that names it and the reason. See
  /// ServerOptions for `inherited`.
  Listener(Acceptor &acceptor, Loop &loop, const Address &asked, const Manner &manner,
           const std::vector<int> &inherited);
  ~Listener() override;

  /// Throws std::system_error.
  void wait();
  /// Takes what already waits in the backlog, then no longer listens. A UNIX socket's file goes with it, unless another
  /// process has put its own there. Of a shared socket the backlog stays where it is. One that never waited may be
  /// closed on any thread.
  void close() noexcept;

  const Address &asked() const noexcept { return asked_; }
  /// The port resolved.
  const Address &bound() const noexcept { return bound_; }
  /// For the connections that come from now on.
  void change(const Manner &manner) noexcept;
  const Manner &manner() const noexcept { return manner_; }

  void onEvents(unsigned) override { accept(); }
  void onTimer() override { accept(); }

private:
  bool share(const std::vector<int> &inherited);
  void bindAndListen();
  void accept();
  /// True: there may be more.
  bool acceptSome() noexcept;
  bool ownsFile() const noexcept;
  void removeFile() noexcept;

  Acceptor &acceptor_;
  Loop &loop_;
  const Address asked_;
  Address bound_;
  int fd_ = -1;
  Manner manner_;
  bool waiting_ = false;
  bool shared_ = false;
  dev_t fileDevice_ = 0; // of a UNIX socket's file
  ino_t fileNumber_ = 0;
};

} // namespace matrixos::http
