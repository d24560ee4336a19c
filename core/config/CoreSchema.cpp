#include "config/CoreSchema.h"

namespace matrixos::config {

namespace {

constexpr mos_config_key kPlatform[] = {
    {"domain", "domain", "matrix-os.com", nullptr,
     "Domain that the instances live under: alice is reached as alice.<domain>.", 0, 0},
    {"console_host", "domain", "", nullptr,
     "Host that people sign in on, and of the console: one label before the domain, or a name that does not end in it. "
     "Empty: console.<domain>.",
     0, 0},
    {"data_dir", "path", "/var/lib/matrixos", nullptr,
     "Directory of everything the daemon keeps; one daemon at a time. Other values may refer to it as <data_dir>.", 0,
     0},
    {"secret_file", "path", "", nullptr,
     "File with the API's secret. Empty: a secret is generated and kept in <data_dir>/admin.secret.", MOS_KEY_LIVE, 0},
};

constexpr mos_config_key kApi[] = {
    {"listen", "listen", "unix:<data_dir>/run/api.sock", nullptr,
     "Where the API listens for the proxy. It stays on this machine: a unix socket or a loopback address.", 0, 0},
    {"admin", "listen", "unix:<data_dir>/run/admin.sock", nullptr,
     "Unix socket of matrixosctl. Only the daemon's own user and root may connect, without a secret.", 0, 0},
    {"auth", "enum", "secret", "secret|none",
     "Whether the API asks for the secret. \"none\" is refused while other machines can connect.", 0, 0},
    {"public_routes", "list", "/health, /ready, /openapi.json, /auth/*, /webhooks/*, //console/*", nullptr,
     "Paths that plugins may serve without asking who calls: /health alone, /auth/* for all below it, //console/* for "
     "all on the host that people sign in on. Elsewhere, routes that want to be public ask for an operator.",
     0, 0},
    {"limit_address", "rate", "6000/1m", nullptr,
     "Requests of one client address, or IPv6 /64; more get 429, here and below. Never limited: the admin socket, who "
     "has the platform's secret, /health, /ready and /metrics. All clients of a front that [proxy] trusted_peers does "
     "not name are one address.",
     MOS_KEY_LIVE, 0},
    {"limit_principal", "rate", "3000/1m", nullptr, "Requests of one user, operator's token or instance.", MOS_KEY_LIVE,
     0},
    {"limit_writes", "rate", "600/1m", nullptr,
     "Requests that change something (other than GET, HEAD and OPTIONS): of one user, operator's token or instance, or "
     "of one address if nobody is signed in.",
     MOS_KEY_LIVE, 0},
    {"limit_sign_in", "rate", "300/1m", nullptr, "Requests of one address to public routes below /auth.", MOS_KEY_LIVE,
     0},
    {"limit_webhooks", "rate", "3000/1m", nullptr, "Requests of one address to public routes below /webhooks.",
     MOS_KEY_LIVE, 0},
    {"threads", "int", "64", "64..4096", "Requests that are answered at the same time; more get 503.", 0, 0},
    {"max_connections", "int", "2048", "64..100000",
     "Open connections; beyond that the longest idle one is closed, or the new one gets 503.", 0, 0},
    {"max_header", "size", "32KB", "1KB..1MB",
     "Largest request head, start line and fields together; larger ones get 431.", 0, 0},
    {"header_timeout", "duration", "10s", "100ms..10m",
     "Time for a whole request head to arrive; slower clients get 408.", 0, 0},
    {"body_timeout", "duration", "10s", "100ms..10m",
     "Longest pause between two pieces of a request body. Once it has passed, the body has to bring 1 KB per second.",
     0, 0},
    {"idle_timeout", "duration", "15s", "100ms..10m", "How long a connection is kept open for the next request.", 0, 0},
    {"answer_timeout", "duration", "10m", "1s..24h", "Time a handler has for its answer; then the client gets 504.", 0,
     0},
};

constexpr mos_config_key kPlugins[] = {
    {"path", "path", "", nullptr,
     "Directory of the plugins. Empty: ../plugins beside the program if there is one, else /usr/lib/matrixos/plugins. "
     "It and its files belong to root or the daemon's user, and nobody else may write there.",
     0, 0},
    {"copies", "path", "<data_dir>/run/plugins", nullptr,
     "Directory of the daemon's own copies of plugin files. They are what it runs, so that the files may be replaced "
     "at "
     "any time. Nobody else may write there, and it must not be mounted noexec.",
     0, 0},
    {"enabled", "list", "runtime-docker, orchestrator, lifecycle, social, proxy", nullptr,
     "Plugins to start. Their order does not matter: each waits for those it needs.", 0, 0},
    {"required", "list", "orchestrator, proxy", nullptr,
     "Plugins that the daemon does not run without: if one of them does not start, it ends. By default as far as they "
     "are enabled.",
     0, 0},
    {"retry_for", "duration", "15s", "0ms..10m",
     "How long the daemon tries again at start what may pass, such as a port that another process is about to leave, "
     "for required plugins and its own sockets; then it ends.",
     0, 0},
    {"provide_as", "list", "", nullptr,
     "Other names for services that plugins provide without one, such as lifecycle:matrixos.lifecycle/1=base, so that "
     "a "
     "plugin that needs the service by that name can stand in front of it.",
     0, 0},
    {"start_timeout", "duration", "30s", "100ms..1h", "Time a plugin has to start; then it has failed.", 0, 0},
    {"stop_timeout", "duration", "30s", "100ms..1h", "Time a plugin has to stop; then it is abandoned.", 0, 0},
    {"executor_threads", "int", "16", "4..512", "Threads for plugin work that blocks, such as calls to an engine.", 0,
     0},
};

constexpr mos_config_key kLog[] = {
    {"level", "enum", "info", "debug|info|warning|error", "The least important messages that are written.",
     MOS_KEY_LIVE, 0},
    {"format", "enum", "json", "json|text", "One JSON object per line, or plain text for people.", MOS_KEY_LIVE, 0},
};

constexpr mos_config_key kMetrics[] = {
    {"token_file", "path", "", nullptr,
     "File with a token that may read GET /metrics and nothing else, for the program that scrapes them. Others than "
     "the daemon's user "
     "and "
     "group must not be able to read it. Empty: the API's secret alone opens it.",
     MOS_KEY_LIVE, 0},
};

constexpr mos_config_key kStorage[] = {
    {"path", "path", "<data_dir>/matrixos.db", nullptr, "The SQLite database.", 0, 0},
    {"query_timeout", "duration", "10s", "100ms..1h",
     "How long SQL of a plugin may run, what it does with each row included; then it is ended.", MOS_KEY_LIVE, 0},
};

constexpr mos_config_key kIsolation = {"isolation",
                                       "enum",
                                       "none",
                                       "none|process",
                                       "Where the plugin runs: inside the daemon, or in a process of its own, whose "
                                       "crash the daemon survives and which it "
                                       "starts again.",
                                       0,
                                       0};

} // namespace

const std::vector<std::string> &sharedSections() {
  static const std::vector<std::string> sections{"platform", "api", "metrics"};
  return sections;
}

const mos_config_key &isolationKey() noexcept {
  return kIsolation;
}

Schema coreSchema(const std::filesystem::path &pluginsPath) {
  Schema schema;
  schema.addSection("platform", "The installation as a whole.", kPlatform);
  schema.addSection("api", "The HTTP API of the daemon, behind the proxy.", kApi);
  schema.addSection("plugins", "Which plugins run.", kPlugins);
  schema.setEmptyMeaning("plugins", "path", pluginsPath.string());
  schema.addSection("log", "What the daemon reports, on standard error.", kLog);
  schema.addSection("metrics", "What monitoring may read.", kMetrics);
  schema.addSection("storage", "The database.", kStorage);
  return schema;
}

std::filesystem::path defaultPluginsPath(const std::filesystem::path &binaryDir) {
  std::error_code error;
  const auto beside = std::filesystem::weakly_canonical(binaryDir / ".." / "plugins", error);
  return !error && std::filesystem::is_directory(beside, error) ? beside : "/usr/lib/matrixos/plugins";
}

} // namespace matrixos::config
