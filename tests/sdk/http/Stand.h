/// A server of the engine that forwards everything to one upstream, and small upstreams that do what a test tells them.
#pragma once

#include <http/engine/Server.h>
#include <support/HttpClient.h>
#include <support/ScriptedServer.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stand {

/// Listens and runs the script for each connection on a thread of its own; the descriptor is closed then.
class Peer {
public:
  using Script = std::function<void(int fd)>;
  explicit Peer(Script script, std::uint16_t port = 0, const std::string &ip = "127.0.0.1");

  std::uint16_t port() const noexcept { return server_.port(); }
  int accepted() const noexcept { return server_.connections(); }

private:
  matrixos::test::ScriptedServer server_;
};

using matrixos::test::sendAll;
/// Reads a head from a blocking connection; "" if it ends first.
std::string readHead(int fd);
/// Answers each request on the connection with that body until the client leaves.
void serve(int fd, const std::string &body);

/// What an observer saw.
struct Seen {
  std::string request;
  std::string response;
  std::size_t pieces = 0; ///< of the response
  int complete = 0;       ///< ends of each kind
  int broken = 0;
};

/// How the exchanges went, in their order.
struct Note {
  matrixos::http::Summary summary;
  std::vector<matrixos::http::ForwardFailure> failures;
  Seen seen;
};

struct StandOptions {
  matrixos::http::ServerOptions server{};
  std::shared_ptr<const matrixos::http::Upstream> second{}; ///< for paths that begin with /2
  bool observe = false;
  bool observerThrows = false;
  std::function<void()> onConnection{}; ///< on the loop, which waits for it
  /// Of an answer whose client has gone: the rest is read for so long, and noted.
  std::optional<std::chrono::milliseconds> rest{};
};

class Stand final : public matrixos::http::SessionFactory {
public:
  explicit Stand(matrixos::http::Upstream upstream, StandOptions options = {});
  ~Stand() override;

  std::uint16_t port() const { return server_->addresses().front().port(); }
  matrixos::test::Response get(const std::string &path = "/") const;
  /// Waits until so many exchanges have ended.
  std::vector<Note> notes(std::size_t count);
  /// Waits until the rests of so many answers have ended.
  std::vector<Seen> rests(std::size_t count);
  matrixos::http::Server &server() noexcept { return *server_; }

  std::unique_ptr<matrixos::http::Session> makeSession(matrixos::http::Loop &, const matrixos::Address &) override;

private:
  class Forwarding;
  class Rest;
  template <typename T>
  std::vector<T> waitFor(const std::vector<T> &list, std::size_t count);

  const std::shared_ptr<const matrixos::http::Upstream> upstream_;
  const StandOptions options_;
  std::mutex mutex_;
  std::vector<Note> notes_;
  std::vector<Seen> rests_;
  std::unique_ptr<matrixos::http::Server> server_; // last: its sessions use the rest
};

/// A pool key that no other test has.
std::uint64_t freshKey();
/// One candidate at 127.0.0.1.
matrixos::http::Upstream::Candidate at(std::uint16_t port);

} // namespace stand
