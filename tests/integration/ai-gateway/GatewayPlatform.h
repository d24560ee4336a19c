#pragma once

#include <fixtures/llm-upstream/LlmUpstream.h>
#include <support/DaemonProcess.h>

#include <string>

namespace matrixos::test {

/// A daemon with the AI gateway before an upstream in TLS, and the instances alice and bob, who have tokens.
class GatewayPlatform {
public:
  explicit GatewayPlatform(DaemonProcess::Values values = {}, const std::vector<std::string> &upstreamArguments = {})
      : upstream(withKey(upstreamArguments)), daemon(withDefaults(std::move(values))) {
    const auto folder = daemon.dir() / "plugins";
    std::filesystem::create_directory(folder);
    for (const char *plugin : {"plugins/ai-gateway.so", "scenario-plugins/fixed-instances.so"}) {
      const auto file = buildDir() / plugin;
      std::filesystem::copy_file(file, folder / file.filename());
    }
    writeFile(daemon.dir() / "shared.key", std::string(kSharedKey) + "\n");
    std::filesystem::permissions(daemon.dir() / "shared.key", std::filesystem::perms(0600));
    daemon.rewriteConfig({{"plugins.path", folder.string()},
                          {"ai-gateway.api_key_file", (daemon.dir() / "shared.key").string()},
                          {"ai-gateway.upstream_ca_file", upstream.authority().string()}});
    daemon.start();
  }

  static constexpr const char *kSharedKey = "sk-ant-shared-canary-7Q";

  std::uint16_t port() const noexcept { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// As FixedInstances.cpp knows it.
  static std::string tokenOf(const std::string &handle) {
    return "mxi_" + handle + std::string(43 - handle.size(), '_');
  }

  /// A call of an instance's, with further fields.
  Response call(const std::string &handle, const std::string &body, Headers more = {}) const {
    Headers headers = {{"Host", "gateway"},
                       {"Authorization", "Bearer " + tokenOf(handle)},
                       {"anthropic-version", "2023-06-01"},
                       {"Content-Type", "application/json"}};
    headers.insert(headers.end(), more.begin(), more.end());
    return request(port_, "POST", "/v1/messages", headers, body);
  }
  /// What an operator reads on the gateway's own port.
  Response admin(const std::string &target) const {
    std::string secret = readFile(daemon.dir() / "data/admin.secret");
    while (!secret.empty() && secret.back() == '\n')
      secret.pop_back();
    return request(port_, "GET", target, {{"Host", "gateway"}, {"Authorization", "Bearer " + secret}});
  }

  LlmUpstream upstream;

private:
  static std::vector<std::string> withKey(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--key", kSharedKey});
    return arguments;
  }
  DaemonProcess::Values withDefaults(DaemonProcess::Values values) const {
    values.merge(DaemonProcess::Values{{"plugins.enabled", "fixed-instances, ai-gateway"},
                                       {"plugins.required", "ai-gateway"},
                                       {"api.auth", "secret"},
                                       {"fixed-instances.running", "alice:1:ada, bob:1:bob"},
                                       {"ai-gateway.listen", "127.0.0.1:" + std::to_string(port_)},
                                       {"ai-gateway.upstream", upstream.tlsUrl()},
                                       {"ai-gateway.daily_limit_usd", "1000"},
                                       {"ai-gateway.monthly_limit_usd", "10000"},
                                       {"ai-gateway.server_tools", "*"},
                                       {"ai-gateway.betas", "*"}});
    return values;
  }
  const std::uint16_t port_ = freePort();

public:
  DaemonProcess daemon; // last: it uses the port
};

} // namespace matrixos::test
