#pragma once

#include "support/HttpClient.h"
#include "support/Process.h"
#include "support/Sockets.h"
#include "support/TempDir.h"

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace matrixos::test {

/// The real matrixosd of this build, in a temporary folder, with its own sockets, ports and users directory. Values
/// are by "section.key"; what is not given is made fit for a test (auth=none, a free proxy port, the demo image).
class DaemonProcess {
public:
  using Values = std::map<std::string, std::string>;

  /// Writes the configuration; does not start.
  explicit DaemonProcess(Values values = {});
  /// Stops it. In an instrumented build, a sanitizer's report in its log ends the test program with that log.
  ~DaemonProcess();

  /// Starts and waits until the API answers; throws std::runtime_error with the log when it does not.
  void start();
  /// Starts without waiting; `under`: a command that runs what it is given.
  void launch(std::vector<std::string> under = {});
  bool waitUntilServing(std::chrono::milliseconds limit = std::chrono::seconds{60});
  /// SIGTERM; the exit code.
  int stop();
  void kill();

  Process &process() { return *process_; }
  bool running() { return process_ && process_->running(); }
  std::uint16_t proxyPort() const noexcept { return proxyPort_; }
  const TempDir &dir() const noexcept { return dir_; }
  std::filesystem::path configFile() const { return dir_ / "matrixosd.ini"; }
  std::filesystem::path adminSocket() const { return dir_ / "data/run/admin.sock"; }
  std::filesystem::path apiSocket() const { return dir_ / "data/run/api.sock"; }
  std::filesystem::path usersDir() const { return dir_ / "users"; }
  std::string log() const { return readFile(dir_ / "log"); }

  /// Through the admin socket.
  Response api(const std::string &method, const std::string &target, const std::string &body = {}) const;
  /// Through the proxy.
  Response web(const std::string &host, const std::string &target, const Headers &headers = {}) const;
  /// Runs matrixosctl against this daemon.
  Finished ctl(std::vector<std::string> arguments) const;
  /// Runs matrixosd --check on its configuration.
  Finished check() const;
  void rewriteConfig(const Values &changes);

private:
  TempDir dir_;
  Values values_;
  std::uint16_t proxyPort_ = 0;
  std::unique_ptr<Process> process_;
};

/// Where this build's programs lie.
std::filesystem::path buildDir();
/// Parsed; throws when it is no object.
Poco::JSON::Object::Ptr parseObject(const std::string &text);
/// A member as text; "" when it is missing.
std::string member(const std::string &json, const std::string &key);
/// Whether a Docker engine answers. With CI=true its absence fails the calling test program instead.
bool engineAnswers();
/// A handle that no other test run uses.
std::string uniqueHandle(const std::string &prefix);

} // namespace matrixos::test
