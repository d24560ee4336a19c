#pragma once

#include <fixtures/llm-upstream/LlmUpstream.h>
#include <support/ContainerEngine.h>
#include <support/DaemonProcess.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace matrixos::test {

/// A daemon with the AI gateway before an upstream in TLS, whose instances are containers of a real engine, and what
/// can be asked from inside them. All that it makes in the engine goes with it.
class ContainerScene {
public:
  static constexpr const char *kKey = "sk-ant-canary-c0nt";

  explicit ContainerScene(const ContainerEngine &engine);
  ~ContainerScene();

  /// A new instance, which runs; its handle.
  std::string provision();
  static std::string containerOf(const std::string &handle) { return "matrixos-" + handle; }
  /// A container on the instances' network that is none of the platform's; its name. With an address it gets that one,
  /// which has to be the lowest that is free.
  std::string addStranger(const std::string &address = {});
  /// The engine's command line. The check fails when it ends with an error; what it said, without the last line end.
  std::string runEngine(const std::vector<std::string> &arguments) const;

  /// The environment that a program inside the container has, a line each.
  std::string environment(const std::string &container) const;
  /// The token in it.
  std::string tokenOf(const std::string &handle) const;
  /// The address of the container.
  std::string addressOf(const std::string &container) const;

  /// What is answered to a program inside the container that sends these bytes to `host`, at the gateway's port. Status
  /// 0 with the reason as its body: it is not answered.
  Response ask(const std::string &container, const std::string &bytes, const std::string &host = "proxy") const;
  /// A call with a token. With the usual words it costs kCallPico.
  static std::string callText(const std::string &token, const Headers &more = {},
                              const std::string &target = "/v1/messages",
                              const std::string &words = "input=100 output=50");
  static constexpr std::int64_t kCallPico = 350'000'000;
  /// Such a call of an instance's is served in the end: its address has to get around first.
  bool isServed(const std::string &handle, const std::string &token) const;

  /// What an operator reads at the gateway.
  Response admin(const std::string &target) const;
  std::int64_t spentBy(const std::string &handle) const;
  /// Addresses that somebody on this machine listens at on the gateway's port.
  std::set<std::string> listeningAt() const;

  LlmUpstream upstream{{"--key", kKey}};
  const std::uint16_t port = freePort();
  DaemonProcess daemon;

private:
  DaemonProcess::Values values() const;

  const ContainerEngine &engine_;
  const std::string network_ = uniqueHandle("gwnet"), image_;
  TempDir secrets_;
  std::vector<std::string> handles_, strangers_;
};

} // namespace matrixos::test
