#pragma once

#include "testhost/Footprint.h"
#include "testhost/LogCapture.h"
#include "testhost/Platform.h"

#include <matrixos/abi/service.h>

#include <http/client/HttpClient.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::testhost {

/// There is one log, and one observer of faults, in a process. Throws Error(FailedPrecondition) for a second one.
class OnlyOne {
public:
  OnlyOne();
  ~OnlyOne();
  OnlyOne(const OnlyOne &) = delete;
  OnlyOne &operator=(const OnlyOne &) = delete;
};

/// A folder of its own that goes away; its name is short, since sockets lie in it. It stays when the test process dies.
class TestFolder {
public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder &) = delete;
  TestFolder &operator=(const TestFolder &) = delete;
  const std::filesystem::path &path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

/// What is behind matrixos/testing/host.h, which says what each function does. Failures are Error.
class TestHost {
public:
  TestHost();
  ~TestHost();
  TestHost(const TestHost &) = delete;
  TestHost &operator=(const TestHost &) = delete;

  void addPlugin(const std::filesystem::path &file);
  void set(const std::string &name, const std::string &value);
  void provide(const std::string &service, const std::string &instance, std::uint32_t minor, const void *table);
  void withdraw(const std::string &service, const std::string &instance);

  void start();
  void stop();
  void reconfigure();

  enum class Who { Operator, Anyone };
  http::ClientResponse request(Who who, const http::ClientRequest &request);
  const void *acquire(const std::string &service, const std::string &instance);
  void release(const void *table);
  void advance(std::chrono::milliseconds by);
  void publish(std::string_view topic, std::string_view json) { platform().events.publish(topic, json); }

  using Event = std::pair<std::string, std::string>;
  std::vector<Event> events() const;
  std::vector<LogCapture::Line> log() const { return log_.lines(); }
  const std::filesystem::path &folder() const noexcept { return folder_.path(); }
  std::string metrics() { return platform().metrics.exposition(); }
  std::string stateOf(const std::string &plugin) const;
  std::string rows(const std::string &sql);
  std::string faults() const;

private:
  /// A service that the test provides.
  struct Fake {
    std::string service, instance;
    std::uint32_t minor = 0;
    const void *table = nullptr; ///< null: withdrawn
  };
  /// From start() to stop().
  struct Life;

  Platform &platform() const;
  Fake *findFake(const std::string &service, const std::string &instance);
  std::vector<plugin::DiscoveredPlugin> discover();
  /// The test itself, which is one of the plugins for as long as it provides something.
  plugin::DiscoveredPlugin ownPlugin();
  void offer(const Fake &fake) const;
  /// What went wrong; "" when nothing did.
  std::string end();

  const OnlyOne one_;
  const TestFolder folder_;
  const LogCapture log_;
  plugin::PluginFiles files_;
  http::HttpClient client_;
  const std::string installId_ = makeUlid();
  std::vector<std::string> ids_; ///< of the plugins, the one under test first
  std::vector<std::string> sets_;
  std::vector<Fake> fakes_;
  const mos_host_v1 *own_ = nullptr; ///< of the test's own plugin, while it runs
  std::chrono::milliseconds advanced_{0};
  std::unique_ptr<Life> life_;
  std::vector<std::shared_ptr<plugin::ServiceProxy>> stale_; ///< of lives that are over; a test may still call them
  mutable std::mutex mutex_;
  std::vector<Event> events_;
  std::string faults_;
};

} // namespace matrixos::testhost
