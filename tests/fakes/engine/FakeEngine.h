#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace matrixos::test {

/// What a client asked.
struct FakeRequest {
  std::string method;
  std::string path; ///< without version prefix and query
  std::string query;
  std::string head; ///< request line and header fields
  std::string body;
};

/// What comes back on the connection: bytes, then perhaps a flood, then silence or a cut.
struct FakeAnswer {
  enum class End { KeepAlive, Close, Hang };
  std::string bytes;
  std::size_t flood = 0; ///< so many more bytes of filler
  End end = End::KeepAlive;
};

/// A proper answer.
FakeAnswer answer(int status, const std::string &body);
/// A proper chunked answer, one chunk a part.
FakeAnswer chunked(int status, const std::vector<std::string> &parts);
/// Promises more bytes than it sends.
FakeAnswer truncated(int status, const std::string &body);
/// Ends inside a chunk.
FakeAnswer halfChunk(int status, const std::string &body);
/// A chunk whose size is no number.
FakeAnswer lyingChunk(int status, const std::string &body);
/// Neither length nor chunks: the end of the connection could be the end, or a crash.
FakeAnswer unframed(int status, const std::string &body);
FakeAnswer flood(int status, std::size_t bytes);
FakeAnswer headerFlood();
FakeAnswer garbage();
FakeAnswer hang();
FakeAnswer hangUp();
/// Answers with the head and part of the body, then is silent.
FakeAnswer stalled(int status, const std::string &start);

/// A scripted engine on a unix socket in `directory`. Thread-safe.
class FakeEngine {
public:
  using HandlerFn = std::function<FakeAnswer(const FakeRequest &)>;

  explicit FakeEngine(const std::filesystem::path &directory);
  FakeEngine(const FakeEngine &) = delete;
  FakeEngine &operator=(const FakeEngine &) = delete;
  ~FakeEngine();

  /// "unix:/…".
  std::string endpoint() const { return "unix:" + socketPath_; }
  const std::string &socketPath() const noexcept { return socketPath_; }
  /// Answers `method path` (without version prefix) from now on. What is not scripted is 404. Handlers run one at a
  /// time and must not call the engine.
  void on(const std::string &method, const std::string &path, HandlerFn handler);
  void on(const std::string &method, const std::string &path, FakeAnswer fixed);
  std::vector<FakeRequest> requests() const;
  /// How often `method path` was asked.
  std::size_t count(const std::string &method, const std::string &path) const;
  std::size_t connections() const;
  /// Cuts all connections, like an engine that restarts.
  void dropConnections();

private:
  struct Client {
    int fd = -1;
    std::thread thread;
  };
  void acceptAll();
  void serve(int fd);
  FakeAnswer answerTo(const FakeRequest &request);
  bool send(int fd, const FakeAnswer &answer) const;

  std::string socketPath_;
  int listener_ = -1;
  int stopFd_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, HandlerFn> handlers_;
  std::vector<FakeRequest> requests_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::thread acceptor_;
};

} // namespace matrixos::test
