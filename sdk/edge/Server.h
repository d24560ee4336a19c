/// edge/Server.h: listeners and loops together.
///
///     edge::ServerOptions options;
///     options.listen = {"127.0.0.1:0"};
///     edge::Server server(options, factory);    // binds, or throws matrixos::Error
///     server.start();
///     … server.addresses() …
///     server.drain(std::chrono::seconds(10));   // refuses new connections, waits for the open ones
///     server.stop();
#pragma once

#include "Loop.h"
#include "Options.h"
#include "Session.h"

#include <chrono>
#include <memory>
#include <vector>

namespace matrixos::edge {

/// One acceptor hands sockets to the loop with the fewest connections: WebSockets live long, so the kernel's random
/// spread would leave loops uneven, and a listener that closes loses nothing that was already handed out.
/// start(), drain() and stop() belong to one thread.
class Server {
public:
  /// Binds and listens. Throws matrixos::Error that names the address and the reason. `factory` outlives the server.
  Server(const ServerOptions &options, SessionFactory &factory);
  ~Server();
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  void start();
  /// Stops listening, closes idle connections, lets the others end their exchange. True when none was left before
  /// the deadline.
  bool drain(std::chrono::milliseconds deadline);
  /// Closes what is left and joins the threads.
  void stop();

  /// What the listeners are bound to, ports resolved.
  const std::vector<Address> &addresses() const noexcept { return addresses_; }
  const std::vector<std::shared_ptr<Loop>> &loops() const noexcept { return loops_; }
  /// [any-thread]
  std::size_t connections() const noexcept;

private:
  class Listener;
  void listen(const std::string &text, bool encrypted);
  void place(int fd, const Address &peer, bool encrypted);

  ServerOptions options_;
  SessionFactory &factory_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::vector<Address> addresses_;
  bool started_ = false;
};

} // namespace matrixos::edge
