/// A loop of the engine that turns only when the test says so, on a clock of the test's: what comes first and what has
/// timed out is no matter of luck.
#pragma once

#include <matrixos/file_descriptor.hpp>

#include <http/engine/Loop.h>
#include <http/engine/Session.h>
#include <support/Sockets.h>
#include <support/Wait.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

using matrixos::FileDescriptor;
using matrixos::http::BodyObserver;
using matrixos::http::ClientExchange;

/// What observers of one kind were told, all together.
struct Told {
  int heads = 0;
  int status = 0;
  std::string payload;
  int complete = 0;
  int broken = 0;
  int ends() const noexcept { return complete + broken; }
};

/// One end of a connection that does not block.
class End {
public:
  explicit End(FileDescriptor fd) : fd_(std::move(fd)) {}
  void send(std::string_view bytes);
  /// As much as the other side takes now; how much that was.
  std::size_t sendSome(std::string_view bytes);
  /// What has come so far. `closed` from the end on.
  const std::string &received();
  bool closed() {
    received();
    return closed_;
  }
  int fd() const noexcept { return fd_.get(); }
  void halfClose();
  void close() { fd_.reset(); }
  /// So that the other side hears of it at once.
  void reset();

private:
  FileDescriptor fd_;
  std::string received_;
  bool closed_ = false;
};

/// Forwards every request to one upstream, which the test plays, as it does the clients. Hooks say what observers do.
class Lab final : public matrixos::http::SessionFactory {
public:
  explicit Lab(const matrixos::http::ServerOptions &options = {});
  ~Lab() override;

  End client(std::string_view request = {});
  /// The next connection that the engine opens, with a request on it.
  End upstream();
  /// A client that sent the request, and the upstream that it came to.
  std::pair<End, End> exchange(std::string_view request);

  void turn();
  void pass(std::chrono::milliseconds time);
  /// The rest of an answer is read from the next tick of the timers on.
  void soon() { pass(std::chrono::milliseconds(2 * matrixos::http::TimerWheel::kTickMs)); }
  /// Turns until it holds; false when it never does.
  template <typename Condition>
  bool until(Condition &&condition) {
    return matrixos::test::eventually([&] {
      turn();
      return condition();
    });
  }
  matrixos::http::Loop &loop() noexcept { return *loop_; }

  // Hooks; without them the defaults of the engine hold.
  std::function<std::string(std::string_view piece, bool last)> edit;
  std::function<bool()> ends;
  std::function<void(ClientExchange &, std::string_view)> onPiece;
  std::function<void(ClientExchange &)> onBytes, onHead, onCurrent, onRequestHead, onSocket;
  std::function<bool(ClientExchange &)> accepts;
  std::function<BodyObserver::Rest()> onGone;
  /// The rest is read within these limits, and `rest` notes it.
  void readRests(std::chrono::milliseconds most = std::chrono::seconds(10), std::uint64_t bytes = 1'000'000);
  std::function<void(std::string_view)> onRest;
  std::function<void()> onRestHead;

  Told told; // those that were given to forward()
  Told rest;
  int asked = 0;  // onClientGone
  int failed = 0; // onForwardFailed
  std::vector<matrixos::http::Summary> finished;
  int restsAlive = 0;
  bool taken = false; // requests are taken and then sent
  std::shared_ptr<matrixos::http::Retirement> retirement = std::make_shared<matrixos::http::Retirement>();

  std::unique_ptr<matrixos::http::Session> makeSession(matrixos::http::Loop &, const matrixos::Address &) override;

private:
  class Guide;
  class Reader;

  matrixos::test::LoopbackPort front_;
  matrixos::test::LoopbackPort back_;
  std::shared_ptr<matrixos::http::Loop> loop_;
  std::shared_ptr<const matrixos::http::Upstream> to_;
  std::int64_t now_;
};

/// The bodies of chunked text, put together; nothing when it is no whole chunked body.
std::optional<std::string> unchunk(std::string text);

} // namespace lab
