#include "Settings.h"

#include <matrixos/json.hpp>

#include <charconv>

namespace matrixos::orchestrator {

const mos_config_key kConfigKeys[29] = {
    {"runtime", "string", "docker", nullptr, "Which runtime carries the instances: the name it is provided under.", 0,
     0},
    {"image", "string", "ghcr.io/hamedmp/matrix-os:latest", nullptr, "Image of new instances.",
     MOS_KEY_LIVE | MOS_KEY_CREATE | MOS_KEY_IMAGE, 0},
    {"pull_policy", "enum", "missing", "missing|always|never", "When the image is fetched.", MOS_KEY_LIVE, 0},
    {"network", "string", "matrixos-net", nullptr, "Network that instances join, created if missing.",
     MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"memory", "size", "256MB", "16MB..", "Memory limit of one instance.", MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"cpus", "number", "0.5", "0.01..1024", "CPU limit of one instance, in cores.", MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"pids_limit", "int", "256", "16..4194304", "Most processes and threads of one instance.",
     MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"restart", "enum", "unless-stopped", "no|always|unless-stopped|on-failure",
     "What the engine does when an instance ends by itself.", MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"users_dir", "path", "/data/users", nullptr, "Folder that holds the users' data, one folder a handle.", 0, 0},
    {"proxy_url", "string", "http://proxy:8080", nullptr, "Where instances find the shared LLM gateway.",
     MOS_KEY_LIVE | MOS_KEY_CREATE, 0},
    {"token_binding", "enum", "address", "address|none",
     "Whether an instance's token counts from its own addresses alone, where it has some.", MOS_KEY_LIVE, 0},
    {"gateway_base_port", "int", "4001", "1..65535", "First host port for the gateways of instances.", MOS_KEY_PORT, 0},
    {"shell_base_port", "int", "3001", "1..65535", "First host port for the shells of instances.", MOS_KEY_PORT, 0},
    {"ports_per_range", "int", "1000", "1..65535",
     "Host ports in each of the two ranges; a range ends early where the other begins.", 0, 0},
    {"concurrency", "int", "4", "1..256", "Operations that may use the engine at the same time.", MOS_KEY_LIVE, 0},
    {"pull_concurrency", "int", "2", "1..32", "Images that may be pulled at the same time.", MOS_KEY_LIVE, 0},
    {"queue_limit", "int", "10000", "1..1000000", "Operations that may wait for their turn.", MOS_KEY_LIVE, 0},
    {"stop_grace", "duration", "10s", "0s..10m", "How long an instance may take to end before it is killed.",
     MOS_KEY_LIVE, 0},
    {"create_timeout", "duration", "1m", "1s..1h", "Deadline of creating a container.", MOS_KEY_LIVE, 0},
    {"start_timeout", "duration", "1m", "1s..1h", "Deadline of starting a container.", MOS_KEY_LIVE, 0},
    {"pull_timeout", "duration", "10m", "1s..24h", "Deadline of pulling an image.", MOS_KEY_LIVE, 0},
    {"engine_timeout", "duration", "30s", "1s..1h", "Deadline of every other call to the engine, on top of stop_grace.",
     MOS_KEY_LIVE, 0},
    {"reconcile_interval", "duration", "30s", "1s..1h", "How often records and engine are compared.", MOS_KEY_LIVE, 0},
    {"activity_flush_interval", "duration", "10s", "100ms..30s", "How often last activity is written to disk.",
     MOS_KEY_LIVE, 0},
    {"drain_timeout", "duration", "10s", "0s..10m", "How long a stopping daemon waits for running operations.",
     MOS_KEY_LIVE, 0},
    {"retry_base", "duration", "5s", "100ms..1h", "Wait before a failed start is tried again; doubles each time.",
     MOS_KEY_LIVE, 0},
    {"retry_max", "duration", "5m", "1s..24h", "Longest wait between two tries.", MOS_KEY_LIVE, 0},
    {"retry_limit", "int", "5", "0..1000", "Tries without a request; afterwards the next request tries again.",
     MOS_KEY_LIVE, 0},
    {"trash_keep", "duration", "30d", "0s..10000d",
     "How long the data of a deleted instance is kept in .trash; 0: for ever.", MOS_KEY_LIVE, 0},
};

namespace {

/// The port of "127.0.0.1:9000" or "[::1]:9000"; 0 for unix sockets.
int portOf(std::string_view listener) {
  if (listener.substr(0, 5) == "unix:") return 0;
  const std::size_t colon = listener.rfind(':');
  if (colon == std::string_view::npos) return 0;
  const std::string_view digits = listener.substr(colon + 1);
  int port = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return failure == std::errc{} && end == digits.data() + digits.size() ? port : 0;
}

} // namespace

Settings Settings::read(const Config &config, const Platform &platform) {
  Settings s;
  s.runtime = config.getString("runtime");
  s.image = config.getString("image");
  s.pullPolicy = config.getString("pull_policy");
  s.network = config.getString("network");
  s.memoryBytes = config.getInt("memory");
  s.cpus = config.getNumber("cpus");
  s.pidsLimit = config.getInt("pids_limit");
  s.restart = config.getString("restart");
  s.usersDir = config.getString("users_dir");
  s.proxyUrl = config.getString("proxy_url");
  s.bindsTokens = config.getString("token_binding") == "address";
  s.gatewayBasePort = static_cast<int>(config.getInt("gateway_base_port"));
  s.shellBasePort = static_cast<int>(config.getInt("shell_base_port"));
  s.portsPerRange = static_cast<int>(config.getInt("ports_per_range"));
  s.concurrency = config.getInt("concurrency");
  s.pullConcurrency = config.getInt("pull_concurrency");
  s.queueLimit = config.getInt("queue_limit");
  s.stopGrace = config.getDuration("stop_grace");
  s.createTimeout = config.getDuration("create_timeout");
  s.startTimeout = config.getDuration("start_timeout");
  s.pullTimeout = config.getDuration("pull_timeout");
  s.engineTimeout = config.getDuration("engine_timeout");
  s.reconcileInterval = config.getDuration("reconcile_interval");
  s.activityFlushInterval = config.getDuration("activity_flush_interval");
  s.drainTimeout = config.getDuration("drain_timeout");
  s.retryBase = config.getDuration("retry_base");
  s.retryMax = config.getDuration("retry_max");
  s.retryLimit = config.getInt("retry_limit");
  s.trashKeep = config.getDuration("trash_keep");
  if (s.gatewayBasePort == s.shellBasePort) {
    throw Error(Status::InvalidArgument,
                "[orchestrator] gateway_base_port and shell_base_port are both " + std::to_string(s.shellBasePort) +
                    "; the two ranges have to begin apart",
                "BAD_CONFIG");
  }

  const json::Object::Ptr info = json::parseObject(platform.info());
  s.installId = json::getString(*info, "installId");
  s.node = json::findString(*info, "node").value_or("local");
  s.domain = json::findString(*info, "domain").value_or("matrix-os.com");
  if (const json::Array::Ptr listeners = json::findArray(*info, "listeners")) {
    for (std::size_t i = 0; i < listeners->size(); ++i) {
      const int port = portOf(listeners->getElement<std::string>(static_cast<unsigned>(i)));
      if (port != 0) s.listenerPorts.push_back(port);
    }
  }
  return s;
}

} // namespace matrixos::orchestrator
