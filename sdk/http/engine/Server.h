/// http/engine/Server.h: listeners and loops together.
///
///     http::ServerOptions options;
///     options.listen = {"127.0.0.1:0"};
///     http::Server server(options, factory);    // binds, or throws matrixos::Error
///     server.start();
///     … server.addresses() …
///     server.reconfigure(others);               // listeners, limits and timeouts, while it runs
///     server.drain(std::chrono::seconds(10));   // refuses new connections, waits for the open ones
///     server.stop();
#pragma once

#include "Listener.h"
#include "Loop.h"
#include "Options.h"
#include "Session.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace matrixos::http {

/// One acceptor hands sockets to the loop with the fewest connections: WebSockets live long, so the kernel's random
/// spread would leave loops uneven, and a listener that closes loses nothing that was already handed out.
/// start(), reconfigure(), drain() and stop() belong to one thread.
class Server final : private Acceptor {
public:
  /// Binds and listens. Throws matrixos::Error that names the address and the reason. `factory` outlives the server.
  Server(const ServerOptions &options, SessionFactory &factory);
  ~Server();
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  /// Throws std::system_error.
  void start();
  /// Takes other options, but for `loops` and `bufferSize`, which stay. New addresses are bound, those that are no
  /// longer named stop listening while their connections go on, the others do not notice; limits and timeouts count
  /// from the next event on, also for open connections. `also` runs on each loop together with the change. Returns once
  /// all loops have changed. Throws matrixos::Error when an address cannot be bound or a head would not fit into a
  /// block: then nothing has changed.
  void reconfigure(ServerOptions options, const std::function<void(Loop &)> &also = {});
  /// [any-thread] The address passes to somebody else, or goes: its idle connections are closed now, WebSockets are
  /// asked to end, and what still runs on it after `grace` is cut. Other addresses do not notice.
  void retire(const Upstream::Candidate &gone, std::chrono::milliseconds grace);
  /// Stops listening and lets every exchange end: what is idle closes within a second, answers say that they are the
  /// last, what is held is answered by Session::onDrain, WebSockets get a close frame. True when nothing was left
  /// before the deadline.
  bool drain(std::chrono::milliseconds deadline);
  /// Closes what is left and joins the threads.
  void stop();

  /// What the listeners are bound to, ports resolved.
  const std::vector<Address> &addresses() const noexcept { return addresses_; }
  const std::vector<std::shared_ptr<Loop>> &loops() const noexcept { return loops_; }
  /// [any-thread]
  std::size_t connections() const noexcept;

  /// Connections that could not be taken, as descriptors or memory had run out.
  struct AcceptFailures {
    std::uint64_t count = 0;
    int error = 0; ///< of the last one, see errno(3)
  };
  /// [any-thread] Those since the last call.
  AcceptFailures takeAcceptFailures() noexcept;

private:
  struct Change;
  void accepted(int fd, const Address &peer, const Listener &listener) noexcept override;
  void acceptFailed(int error) noexcept override;
  void noteAcceptFailure(int error) noexcept;
  void place(int fd, const Address &peer, const Listener &listener);
  Change planListeners(const ServerOptions &options);
  void noteAddresses();
  void run(Loop &loop, const std::function<void()> &task);

  std::shared_ptr<const ServerOptions> options_;
  SessionFactory &factory_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::vector<Address> addresses_;
  std::atomic<std::uint64_t> acceptFailures_{0};
  std::atomic<int> acceptError_{0};
  bool started_ = false;
};

} // namespace matrixos::http
