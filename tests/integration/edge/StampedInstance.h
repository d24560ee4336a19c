/// StampedInstance.h: an instance that puts its name on whatever it says, and notices what was not meant for it.
#pragma once

#include "bench/edge/Net.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace matrixos::test {

/// Two listeners, shell and gateway, on a thread of their own. A request names in X-For whom it is meant for, in
/// X-Nonce which one it is, in X-Lines how long an answer it wants and in X-Framing how that ends (length, chunked or
/// close); a body repeats "HANDLE NONCE". The answer's X-Stamp and each line of its body are "HANDLE/ENDPOINT NONCE",
/// and its X-Boot says of which life it is. A WebSocket gives each text back behind its "ENDPOINT ". X-Exit kills the
/// process, for those that have one of their own (StampedMain.cpp). Commands may come from any thread and are done when
/// they return.
class StampedInstance {
public:
  explicit StampedInstance(std::string handle);
  ~StampedInstance();
  StampedInstance(const StampedInstance &) = delete;
  StampedInstance &operator=(const StampedInstance &) = delete;

  const std::string &handle() const noexcept { return handle_; }
  /// Where it listens, or did last.
  std::uint16_t shell() const noexcept { return ports_[0]; }
  std::uint16_t gateway() const noexcept { return ports_[1]; }

  /// Leaves the ports it has and takes these.
  void listen(std::uint16_t shell, std::uint16_t gateway);
  /// Closes the listeners; connections go on.
  void leavePorts();
  /// Resets every connection, as when a process dies.
  void hangUp();

  std::size_t answered() const noexcept { return answered_; }
  std::size_t boots() const noexcept { return boots_; }
  /// What reached it and was another's: "" or the first of them.
  std::string foreign() const;

private:
  struct Conn {
    int fd = -1;
    int endpoint = 0;
    std::string in;
    std::string out;
    bool webSocket = false;
    bool lastAnswer = false;
  };

  void run();
  void command(const std::function<void()> &what);
  void accept(int endpoint);
  void close(Conn &conn, bool reset);
  void advance(Conn &conn);
  bool takeRequest(Conn &conn);
  bool takeFrame(Conn &conn);
  void answer(Conn &conn, const std::string &head, const std::string &body);
  void flush(Conn &conn);
  void note(const std::string &what);

  const std::string handle_;
  const std::int64_t bornNs_; // a process id is not enough: a sandbox has its own
  bench::Poller poller_;
  int wake_;
  std::uint16_t ports_[2] = {0, 0};
  int listeners_[2] = {-1, -1};
  std::list<Conn> conns_;
  std::atomic<std::size_t> answered_{0};
  std::atomic<std::size_t> boots_{1};
  mutable std::mutex mutex_;
  std::condition_variable done_;
  const std::function<void()> *command_ = nullptr;
  std::string foreign_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::test
