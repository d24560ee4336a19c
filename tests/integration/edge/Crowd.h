/// Crowd.h: thousands of clients on one thread.
#pragma once

#include "bench/edge/Net.h"

#include <support/HttpClient.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::test {

/// One of them: what is sent goes out as far as it can, what comes is kept until it is taken. For Crowd.
class CrowdClient {
public:
  /// What came and was not taken yet.
  const std::string &received() const noexcept { return in_; }
  /// The other side has closed, or reset, the connection; nothing more comes.
  bool ended() const noexcept { return ended_; }
  /// The same without reading: the connection is down, though what came before may still wait to be read.
  bool isDown() const noexcept;
  /// Everything that was to be sent has gone to the kernel.
  bool sent() const noexcept { return out_.empty(); }
  /// Takes a whole answer framed by Content-Length (or by nothing, for a 101).
  std::optional<Response> takeResponse();
  /// Takes a whole unmasked frame of fewer than 126 bytes; gives its payload.
  std::optional<std::string> takeFrame();

private:
  friend class Crowd;
  int fd_ = -1;
  std::string in_;
  std::string out_;
  bool ended_ = false;
  bool reads_ = true;
};

/// Clients of one server on 127.0.0.1, moved on by until(). Addresses of clients stay the same. One thread.
class Crowd {
public:
  using Client = CrowdClient;

  explicit Crowd(std::uint16_t port) : port_(port) {}
  ~Crowd();
  Crowd(const Crowd &) = delete;
  Crowd &operator=(const Crowd &) = delete;

  /// Begins to connect. What is sent meanwhile goes out once it stands.
  Client &add(const std::string &first = {});
  /// One that never reads, with a receive buffer as small as the kernel allows.
  Client &addDeaf(const std::string &first);
  void send(Client &client, std::string_view bytes);
  /// Reads from here on.
  void listen(Client &client);
  /// Closes; the client is gone after that.
  void leave(Client &client);
  /// Lets everybody go on until the condition holds; false when `limit` passed first.
  bool until(const std::function<bool()> &condition, std::chrono::milliseconds limit = std::chrono::seconds{90});

  std::list<Client> &clients() noexcept { return clients_; }
  /// How many of them are as asked.
  std::size_t count(const std::function<bool(const Client &)> &is) const;

private:
  void watch(Client &client);
  void handle(Client &client, unsigned events);
  void end(Client &client);

  bench::Poller poller_;
  const std::uint16_t port_;
  std::list<Client> clients_;
};

/// "GET PATH" for a handle, with a nonce that the instance gives back.
std::string getRequest(const std::string &handle, const std::string &nonce, const std::string &path = "/",
                       const std::string &fields = {});
/// The same as a WebSocket handshake.
std::string upgradeRequest(const std::string &handle, const std::string &nonce);
/// A masked text frame of fewer than 126 bytes.
std::string textFrame(std::string_view text);

/// As many descriptors as this process, and those it starts, may have. False: not even `needed`.
bool raiseDescriptorLimit(std::size_t needed);

} // namespace matrixos::test
