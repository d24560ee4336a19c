#pragma once

#include "http/AdmissionQueue.h"
#include "http/Connection.h"
#include "http/Listener.h"
#include "http/Problem.h"
#include "http/RequestGate.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace matrixos::api {

/// What happens to a connection once its request was answered.
enum class After {
  KeepAlive, ///< wait for the next request
  Close      ///< tell the peer that we are done, take in what it still sends for a moment, close
};

/// Where connections wait: one thread that accepts, watches idle connections, reads request heads through the gate and
/// passes on those whose request is admitted. Silent, slow and malformed clients cost no worker, and a refused
/// connection is answered before it is closed.
class Lobby {
public:
  struct Options {
    GateLimits limits;
    std::chrono::milliseconds headTimeout{10000}; ///< from a head's first byte to its last; then 408
    std::chrono::milliseconds idleTimeout{15000}; ///< without any byte; then closed silently
    std::chrono::milliseconds lingerTimeout{1000};
    std::size_t maxConnections = 2048; ///< then the longest idle one is closed, or the new one answered 503
    /// Told about every request that was answered here. On the lobby's thread; must not block.
    std::function<void(int status, std::uint64_t bytes, const std::string &requestId)> onRefused;
  };

  Lobby(Options options, std::shared_ptr<AdmissionQueue> queue);
  /// Calls shutdown().
  ~Lobby();
  Lobby(const Lobby &) = delete;
  Lobby &operator=(const Lobby &) = delete;

  /// Before start() only.
  void addListener(std::unique_ptr<Listener> listener);
  void start();

  /// Closes the listeners and the idle connections. Requests that still arrive are answered 503. Returns once the
  /// listeners are closed. Any thread.
  void stopAccepting();

  /// Ends the thread and closes what is left. Any thread but its own.
  void shutdown();

  /// Takes a connection back from a worker. Any thread; closes it when the lobby has shut down.
  void giveBack(std::unique_ptr<Connection> connection, After after);

private:
  enum class State { AwaitHead, Linger };

  struct Guest {
    std::unique_ptr<Connection> connection;
    RequestGate gate;
    State state = State::AwaitHead;
    Clock::time_point deadline;
    std::size_t lingered = 0;
  };

  struct Returned {
    std::unique_ptr<Connection> connection;
    After after;
  };

  void run();
  void takeReturned();
  void acceptFrom(Listener &listener);
  void settle(std::unique_ptr<Connection> connection, After after);
  void onReadable(Guest &guest);
  void advance(Guest &guest);
  void admit(Guest &guest);
  void refuse(Guest &guest, const Problem &problem);
  void linger(Guest &guest);
  void leave(Guest &guest);
  void expire();
  bool makeRoom();
  void closeListeners();
  void watch(int fd, std::uint64_t key);

  Options options_;
  std::shared_ptr<AdmissionQueue> queue_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<int, Guest> guests_;
  Clock::time_point nextExpiry_ = Clock::now();
  bool acceptPaused_ = false;
  bool draining_ = false;
  int epoll_ = -1;
  int wake_ = -1;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Returned> returned_;
  bool stopAccepting_ = false;
  bool listenersClosed_ = false;
  bool shutdown_ = false;
  bool gone_ = false;
};

} // namespace matrixos::api
