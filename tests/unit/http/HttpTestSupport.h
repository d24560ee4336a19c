#pragma once

#include "http/ApiServer.h"
#include "support/Sockets.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace httptest {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

using matrixos::test::eventually;
using matrixos::test::kPatience;
using matrixos::test::TempDir;
inline constexpr const char *kSecret = "5eC7e7-0123456789abcdef";

/// One parsed answer.
struct Answer {
  int status = 0;
  std::string head;
  std::string body;
  bool complete = false;
  std::string field(const std::string &name) const;
};

/// A client that sends exactly the bytes it is told to, over TCP or a unix socket.
class RawClient {
public:
  explicit RawClient(std::uint16_t port) : fd_(matrixos::test::connectTo(port)) {}
  explicit RawClient(const std::string &unixPath) : fd_(matrixos::test::connectTo(std::filesystem::path(unixPath))) {}

  /// False once the server does not take any more.
  bool send(const std::string &bytes) { return matrixos::test::sendAll(fd(), bytes); }
  void finishSending();
  void close() { fd_.reset(); }
  /// Shrinks the receive buffer, to be a slow reader with little patience.
  void smallWindow();

  /// The next answer; status 0 when the connection ended or nothing came in time. 1xx are returned like others.
  Answer next(bool head = false, std::chrono::milliseconds patience = kPatience);
  /// All there is until the server closes.
  std::string rest(std::chrono::milliseconds patience = kPatience);
  /// Whether the server has closed within that time.
  bool closed(std::chrono::milliseconds patience = kPatience);
  /// Reads some bytes of what was not consumed; empty at the end or timeout.
  std::string some(std::chrono::milliseconds patience = kPatience);
  int fd() const { return fd_.get(); }

private:
  bool fill(std::chrono::milliseconds patience);

  matrixos::FileDescriptor fd_;
  std::string input_;
};

/// The statuses of all final answers in a byte stream.
std::vector<int> statusesIn(const std::string &stream);

std::string get(const std::string &path, const std::string &extra = {});
std::string bearer();

/// A server on a TCP port and two unix sockets, with routes that tests need.
class TestServer {
public:
  explicit TestServer(std::function<void(matrixos::api::ApiServerOptions &)> tune = {}, bool start = true);
  ~TestServer();

  matrixos::api::ApiServer &server() { return *server_; }
  std::uint16_t port() const { return server_->port(0); }
  std::string apiPath() const { return (dir_.path() / "api.sock").string(); }
  std::string adminPath() const { return (dir_.path() / "admin.sock").string(); }

  /// Calls of the routes that must not be reached by a smuggled request.
  std::atomic<int> hidden{0};
  std::atomic<int> served{0};
  std::atomic<int> faults{0};
  std::vector<matrixos::api::AccessRecord> accesses();

private:
  TempDir dir_;
  std::mutex mutex_;
  std::vector<matrixos::api::AccessRecord> accesses_;
  std::unique_ptr<matrixos::api::ApiServer> server_;
};

matrixos::api::Route route(const std::string &method, const std::string &pattern,
                           std::function<void(const std::shared_ptr<matrixos::api::ApiExchange> &)> handle,
                           std::uint64_t maxBody = 65536, const std::string &permission = "public");

} // namespace httptest
