#include "ContainerSpec.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/json_text.hpp>

#include <Poco/SHA1Engine.h>

#include <array>
#include <charconv>

namespace matrixos::orchestrator {

namespace {

constexpr int kGatewayPort = 4000;
constexpr int kShellPort = 3000;
constexpr std::string_view kHome = "/home/matrixos/home";

std::string numberText(double value) {
  std::array<char, 32> digits{};
  const auto [end, failure] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return failure == std::errc{} ? std::string(digits.data(), end) : "0";
}

/// Of a hash: enough to tell one token from another, and nothing to find it by.
constexpr std::size_t kMark = 16;

std::string markOf(const Instance &instance) {
  return "-" + instance.tokenHash.substr(0, kMark);
}

JsonObject environment(const Instance &instance, const Settings &settings) {
  JsonObject env;
  env.add("MATRIX_HANDLE", instance.handle)
      .add("PROXY_URL", settings.proxyUrl)
      .add("ANTHROPIC_BASE_URL", settings.proxyUrl)
      .add("PORT", std::to_string(kGatewayPort))
      .add("SHELL_PORT", std::to_string(kShellPort))
      .add("GATEWAY_EXTERNAL_URL", "https://" + instance.handle + "." + settings.domain);
  return env;
}

/// The daemon reaches instances on loopback; nothing else may (a published port on 0.0.0.0 faces the world).
std::string publishedPort(const char *name, int containerPort, int hostPort) {
  JsonObject port;
  port.add("name", name).add("containerPort", containerPort);
  if (hostPort != 0) port.add("hostPort", hostPort).add("hostAddress", "127.0.0.1");
  return std::move(port).str();
}

/// All but labels.
JsonObject body(const Instance &instance, const Settings &settings, JsonObject env) {
  JsonObject spec;
  spec.add("name", instance.containerName())
      .add("image", instance.image)
      .addRaw("env", std::move(env).str())
      .add("memoryBytes", settings.memoryBytes)
      .addRaw("cpus", numberText(settings.cpus))
      .add("pidsLimit", settings.pidsLimit)
      .add("restart", settings.restart)
      .addRaw("hostAliases", R"(["proxy"])");
  if (!settings.network.empty()) {
    JsonObject network;
    network.add("name", settings.network).add("driver", "bridge");
    spec.addRaw("networks", "[" + std::move(network).str() + "]");
  }
  if (!instance.volume.empty()) {
    JsonObject volume;
    volume.add("volume", instance.volume).add("path", kHome).add("readOnly", false);
    spec.addRaw("volumes", "[" + std::move(volume).str() + "]");
  }
  spec.addRaw("ports", "[" + publishedPort("gateway", kGatewayPort, instance.port) + "," +
                           publishedPort("shell", kShellPort, instance.shellPort) + "]");
  return spec;
}

} // namespace

ContainerSpec ContainerSpec::make(const Instance &instance, const Settings &settings, std::string_view token) {
  JsonObject env = environment(instance, settings);
  Poco::SHA1Engine sha;
  sha.update(instance.id + body(instance, settings, env).str());
  ContainerSpec made;
  made.hash = Poco::DigestEngine::digestToHex(sha.digest());
  made.label = made.hash + markOf(instance);
  if (!token.empty()) env.add("ANTHROPIC_API_KEY", token).add("MATRIX_TOKEN", token);
  JsonObject spec = body(instance, settings, std::move(env));
  JsonObject labels;
  labels.add(MOS_LABEL_MANAGED, "true")
      .add(MOS_LABEL_INSTALL, settings.installId)
      .add(MOS_LABEL_INSTANCE, instance.id)
      .add(MOS_LABEL_HANDLE, instance.handle)
      .add(MOS_LABEL_GENERATION, std::to_string(instance.generation))
      .add(MOS_LABEL_SPEC_HASH, made.label)
      .add(MOS_LABEL_OPERATION, instance.operationId);
  made.json = std::move(spec.addRaw("labels", std::move(labels).str())).str();
  return made;
}

bool namesToken(std::string_view label, const Instance &instance) {
  const std::string mark = markOf(instance);
  return !instance.tokenHash.empty() && label.size() > mark.size() && label.substr(label.size() - mark.size()) == mark;
}

std::string volumeRequest(const Instance &instance, const Settings &settings, const std::string &path,
                          const std::vector<std::string> &others) {
  JsonObject labels;
  labels.add(MOS_LABEL_INSTALL, settings.installId).add(MOS_LABEL_INSTANCE, instance.id);
  JsonArray known;
  for (const std::string &other : others)
    known.addText(other);
  JsonObject request;
  request.add("name", instance.handle)
      .add("hostPath", path.empty() ? settings.usersDir + "/" + instance.handle + "/matrixos" : path)
      .add("exists", instance.onceRan())
      .addRaw("others", std::move(known).str())
      .addRaw("labels", std::move(labels).str());
  return std::move(request).str();
}

std::string installLabels(const Settings &settings) {
  JsonObject labels;
  labels.add(MOS_LABEL_INSTALL, settings.installId);
  return std::move(labels).str();
}

} // namespace matrixos::orchestrator
