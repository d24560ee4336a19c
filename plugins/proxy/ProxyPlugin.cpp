#include "ProxyPlugin.h"

#include <matrixos/json.hpp>
#include <matrixos/platform_secret.hpp>

#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <charconv>

namespace matrixos::proxy {

namespace {

/// How often counts go to lifecycle, metrics and log; lastActive has to show within a second.
constexpr std::chrono::milliseconds kReportEvery{400};

/// The files of the certificate are looked at every two seconds.
constexpr int kReportsPerCertificate = 5;
/// After ten seconds without such a request the policies decide again.
constexpr int kReportsUntilDecided = 25;

constexpr mos_need kNeeds[] = {
    {MOS_ORCHESTRATOR_1, 0, 0},
    {MOS_LIFECYCLE_1, 0, MOS_NEED_OPTIONAL},
    {MOS_POLICY_1, 0, MOS_NEED_OPTIONAL},
};

constexpr mos_config_key kKeys[] = {
    {"listen", "listen", "127.0.0.1:9000", nullptr, "Addresses that clients, or the tunnel, connect to.", MOS_KEY_LIVE,
     0},
    {"unix_mode", "string", "0660", nullptr,
     "File mode of UNIX sockets in listen, octal: who may write to the file may connect.", MOS_KEY_LIVE, 0},
    {"loops", "int", "0", "0..64", "Event loops, one thread each; 0 means one per core."},
    {"trusted_peers", "list", "", nullptr,
     "Addresses and networks whose word about the client is believed: X-Forwarded-Proto, client_address and the PROXY "
     "protocol; unix: UNIX sockets.",
     MOS_KEY_LIVE, 0},
    {"client_address", "enum", "x-forwarded-for", "x-forwarded-for|forwarded|cf-connecting-ip|peer",
     "The one header in which trusted_peers name the client; peer: none, they are the client.", MOS_KEY_LIVE, 0},
    {"allowed_origins", "list", "", nullptr,
     "Other sites whose pages may use the API and open WebSockets, such as https://app.example.com.", MOS_KEY_LIVE, 0},
    {"policies", "list", "", nullptr,
     "Plugins that decide who reaches an instance, in this order. Empty: all enabled ones that provide a policy, "
     "identity first; none: nobody decides.",
     MOS_KEY_LIVE, 0},
    {"path_mode", "enum", "redirect", "redirect|api|off",
     "Below /proxy/{handle}/ of the platform's hosts: browsers that open a page go to the instance's own host, all is "
     "served in place, or nothing is: 404.",
     MOS_KEY_LIVE, 0},
    {"tls_listen", "listen", "", nullptr, "Addresses that speak TLS, for those without a tunnel.",
     MOS_KEY_LIVE | MOS_KEY_TLS_LISTEN, 0},
    {"tls_certificate", "path", "", nullptr, "PEM file with the certificate and those it rests on, for tls_listen.",
     MOS_KEY_LIVE | MOS_KEY_TLS_CERTIFICATE, 0},
    {"tls_key", "path", "", nullptr, "PEM file with its key.", MOS_KEY_LIVE | MOS_KEY_TLS_KEY, 0},
    {"proxy_protocol", "bool", "false", nullptr,
     "Each connection begins with a header of the PROXY protocol, version 1 or 2, that names the client; others than "
     "trusted_peers cannot connect then.",
     MOS_KEY_LIVE, 0},
    {"max_connections", "int", "10000", "16..1000000",
     "Open client connections; above it the one that has been idle for longest makes room, or a client gets 503.",
     MOS_KEY_LIVE, 0},
    {"peer_share", "int", "50", "1..100",
     "Percent of max_connections that one address, or IPv6 /64, may have; trusted_peers and UNIX sockets may have all.",
     MOS_KEY_LIVE, 0},
    {"instance_requests", "int", "512", "1..1000000",
     "Requests of one instance in flight, those that wait included: 503 above it.", MOS_KEY_LIVE, 0},
    {"instance_websockets", "int", "1024", "1..1000000", "Open WebSockets of one instance: 503 above it.", MOS_KEY_LIVE,
     0},
    {"max_body", "size", "1GB", "1KB..1024GB", "Largest request body for an instance: 413.", MOS_KEY_LIVE, 0},
    {"max_api_body", "size", "1MB", "1KB..1GB", "Largest request body for the API: 413.", MOS_KEY_LIVE, 0},
    {"min_body_rate", "size", "256", "0..1GB",
     "Bytes per second that a request body has to bring once body_timeout has passed; 0: any.", MOS_KEY_LIVE, 0},
    {"min_read_rate", "size", "256", "0..1GB",
     "Bytes per second that a client has to read of an answer that waits for it; 0: any.", MOS_KEY_LIVE, 0},
    {"max_header", "size", "16KB", "4KB..64KB", "Largest header of a request or response: 431.", MOS_KEY_LIVE, 0},
    {"max_header_fields", "int", "100", "16..1000", "Most header fields of a request or response: 431.", MOS_KEY_LIVE,
     0},
    {"max_uri", "size", "8KB", "256..32KB", "Longest request target: 414.", MOS_KEY_LIVE, 0},
    {"buffer", "size", "32KB", "16KB..256KB", "One block; a stream holds at most two while bytes are in flight."},
    {"idle_upstreams", "int", "64", "0..1024", "Idle connections kept per loop and instance.", MOS_KEY_LIVE, 0},
    {"header_timeout", "duration", "10s", "100ms..5m", "For a whole request header, from its first byte: 408.",
     MOS_KEY_LIVE, 0},
    {"keep_alive", "duration", "95s", "1s..1h", "How long an idle client connection stays open.", MOS_KEY_LIVE, 0},
    {"body_timeout", "duration", "30s", "1s..1h", "Longest pause in a request body, or of a client that reads.",
     MOS_KEY_LIVE, 0},
    {"connect_timeout", "duration", "2s", "50ms..1m", "To connect to one address of an instance.", MOS_KEY_LIVE, 0},
    {"first_byte_timeout", "duration", "120s", "1s..1h", "From the whole request to the answer's header: 504.",
     MOS_KEY_LIVE, 0},
    {"response_timeout", "duration", "5m", "1s..24h", "Longest pause in an answer's body.", MOS_KEY_LIVE, 0},
    {"tunnel_timeout", "duration", "1h", "1s..24h", "Longest silence of a WebSocket.", MOS_KEY_LIVE, 0},
    {"half_closed_timeout", "duration", "30s", "1s..1h", "Progress after the client closed its sending side.",
     MOS_KEY_LIVE, 0},
    {"upstream_idle", "duration", "4s", "100ms..1m", "How long an idle connection to an instance is kept.",
     MOS_KEY_LIVE, 0},
    {"wake_deadline", "duration", "90s", "1s..10m", "Longest wait for an instance to start: 504.", MOS_KEY_LIVE, 0},
    {"waiting_page_after", "duration", "1s", "0ms..10m",
     "A browser that opens a page waits that long, then sees how the start goes.", MOS_KEY_LIVE, 0},
    {"reconnect_backoff", "duration", "30m", "0ms..24h",
     "How long an event stream that opens again by itself does not wake an instance after it was stopped; 0ms: it "
     "does.",
     MOS_KEY_LIVE, 0},
    {"wake_waiters", "int", "64", "1..10000", "Requests that may wait for one instance: 503 above it.", MOS_KEY_LIVE,
     0},
    {"wake_waiters_total", "int", "1024", "1..100000", "Requests that may wait for all instances: 503 above it.",
     MOS_KEY_LIVE, 0},
    {"drain_timeout", "duration", "5s", "0..1m", "How long open exchanges may go on when the plugin stops.",
     MOS_KEY_LIVE, 0},
    {"access_log", "bool", "true", nullptr, "Write one log line per request.", MOS_KEY_LIVE, 0},
};

std::size_t toSize(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

mode_t parseMode(const std::string &text) {
  unsigned mode = 0;
  const char *end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, mode, 8);
  if (read.ec != std::errc{} || read.ptr != end || mode > 0777) {
    throw Error(Status::InvalidArgument, "unix_mode: \"" + text + "\" is no file mode; write 0660");
  }
  return mode;
}

std::size_t descriptorLimit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : SIZE_MAX;
}

/// Client connections for which there are descriptors: each may need another one to its instance, and the rest of the
/// daemon needs some.
std::size_t fittingConnections() {
  constexpr std::size_t kOthers = 128;
  const std::size_t all = descriptorLimit();
  return std::max<std::size_t>(16, (all - std::min(kOthers, all / 2)) / 2);
}

PathMode parsePathMode(std::string_view word) {
  if (word == "off") return PathMode::Off;
  return word == "api" ? PathMode::Api : PathMode::Redirect;
}

ClientAddress parseClientAddress(std::string_view word) {
  if (word == "forwarded") return ClientAddress::Forwarded;
  if (word == "cf-connecting-ip") return ClientAddress::CfConnectingIp;
  return word == "peer" ? ClientAddress::Peer : ClientAddress::XForwardedFor;
}

/// What a service manager listens on for the daemon (sd_listen_fds(3)); the same for every generation of the plugin.
std::vector<int> inheritedSockets() {
  std::vector<int> out;
  for (int i = 0, count = ::sd_listen_fds(0); i < count; ++i)
    out.push_back(SD_LISTEN_FDS_START + i);
  return out;
}

} // namespace

ProxyPlugin::ProxyPlugin(const mos_host_v1 *host)
    : host_(host), config_(host), platform_(host), log_(host), services_(host), timers_(host), events_(host) {}

ProxyPlugin::~ProxyPlugin() {
  end(std::chrono::milliseconds{0});
}

ProxyOptions ProxyPlugin::readOptions() const {
  const json::Object::Ptr info = json::parseObject(platform_.info());
  ProxyOptions out;
  out.domain = json::getString(*info, "domain");
  out.consoleHost = json::findString(*info, "consoleHost").value_or("");
  out.apiSocket = json::findString(*info, "apiSocket").value_or("");
  // They must never reach a tenant. One that there is not has nobody to protect.
  out.secret = platformSecret(config_, platform_);
  out.metricsToken = readSecretFile(config_.getString("metrics.token_file"));
  out.trustedPeers = config_.getList("trusted_peers");
  out.allowedOrigins = config_.getList("allowed_origins");
  out.policies = chainOf(policyIds());
  out.sites = siteNames();
  out.clientAddress = parseClientAddress(config_.getString("client_address"));
  out.pathMode = parsePathMode(config_.getString("path_mode"));
  out.wakeDeadline = config_.getDuration("wake_deadline");
  out.waitingPageAfter = config_.getDuration("waiting_page_after");
  out.reconnectBackoff = config_.getDuration("reconnect_backoff");
  out.waitersPerInstance = toSize(config_.getInt("wake_waiters"));
  out.waiters = toSize(config_.getInt("wake_waiters_total"));
  out.requestsPerInstance = toSize(config_.getInt("instance_requests"));
  out.webSocketsPerInstance = toSize(config_.getInt("instance_websockets"));
  out.drain = config_.getDuration("drain_timeout");
  out.accessLog = config_.getBool("access_log");

  http::ServerOptions &server = out.server;
  const auto listen = config_.getList("listen");
  const auto tlsListen = config_.getList("tls_listen");
  server.listen.assign(listen.begin(), listen.end());
  server.tlsListen.assign(tlsListen.begin(), tlsListen.end());
  server.threadName = "proxy";
  server.inherited = inheritedSockets();
  server.unixMode = parseMode(config_.getString("unix_mode"));
  if (!server.tlsListen.empty()) server.tls = readCertificate();
  server.proxyProtocol = config_.getBool("proxy_protocol");
  server.loops = static_cast<unsigned>(config_.getInt("loops"));
  server.maxConnections = std::min(toSize(config_.getInt("max_connections")), fittingConnections());
  server.peerConnections = std::max<std::size_t>(1, server.maxConnections * toSize(config_.getInt("peer_share")) / 100);
  server.shedIdle = true;
  server.idleUpstreams = toSize(config_.getInt("idle_upstreams"));
  server.bufferSize = toSize(config_.getInt("buffer"));
  out.maxInstanceBody = static_cast<std::uint64_t>(config_.getInt("max_body"));
  out.maxApiBody = static_cast<std::uint64_t>(config_.getInt("max_api_body"));
  server.maxBody = std::max(out.maxInstanceBody, out.maxApiBody);
  server.minBodyRate = static_cast<std::uint64_t>(config_.getInt("min_body_rate"));
  server.minReadRate = static_cast<std::uint64_t>(config_.getInt("min_read_rate"));
  server.request.bytes = server.response.bytes = toSize(config_.getInt("max_header"));
  server.request.fields = server.response.fields = toSize(config_.getInt("max_header_fields"));
  server.request.target = toSize(config_.getInt("max_uri"));
  http::Timeouts &timeouts = server.timeouts;
  timeouts.header = config_.getDuration("header_timeout");
  timeouts.keepAlive = config_.getDuration("keep_alive");
  timeouts.requestBody = timeouts.ownAnswer = config_.getDuration("body_timeout");
  timeouts.connect = config_.getDuration("connect_timeout");
  timeouts.firstByte = config_.getDuration("first_byte_timeout");
  timeouts.responseBody = config_.getDuration("response_timeout");
  timeouts.tunnel = config_.getDuration("tunnel_timeout");
  timeouts.halfClosed = config_.getDuration("half_closed_timeout");
  timeouts.upstreamIdle = config_.getDuration("upstream_idle");
  return out;
}

std::vector<std::string> ProxyPlugin::policyIds() const {
  std::vector<std::string> ids = config_.getList("policies");
  if (ids == std::vector<std::string>{"none"}) return {};
  if (!ids.empty()) return ids;
  ids = services_.declared(MOS_POLICY_1);
  std::stable_partition(ids.begin(), ids.end(), [](const std::string &id) { return id == "identity"; });
  return ids;
}

/// One that is not there, or does not run, denies.
std::shared_ptr<const PolicyChain> ProxyPlugin::chainOf(const std::vector<std::string> &ids) const {
  std::vector<PolicyChain::Link> links;
  for (const std::string &id : ids)
    links.push_back({id, services_.acquire<mos_policy_v1>(MOS_POLICY_1, id)});
  return std::make_shared<PolicyChain>(std::move(links));
}

std::vector<std::string> ProxyPlugin::siteNames() const {
  return json::getStrings(*json::parseObject(platform_.info()), "sites");
}

/// Plugins were enabled or taken out of the configuration: uses their policies and sites, or does without.
void ProxyPlugin::followPlugins() {
  const std::lock_guard lock(changing_);
  if (ending_) return;
  const std::vector<std::string> ids = policyIds();
  std::vector<std::string> sites = siteNames();
  const auto &before = proxy_->policies().links();
  const auto same = [](const PolicyChain::Link &link, const std::string &id) { return link.id == id; };
  if (std::equal(before.begin(), before.end(), ids.begin(), ids.end(), same) && sites == proxy_->sites()) return;
  proxy_->use(chainOf(ids), std::move(sites));
}

/// Notices policies that give no verdict, and is degraded as long as requests are refused for that.
void ProxyPlugin::watchPolicies() {
  const std::lock_guard lock(changing_);
  if (ending_) return;
  std::uint64_t requests = 0;
  std::string who;
  for (const PolicyChain::Link &link : proxy_->policies().links()) {
    PolicyChain::Failures &failures = *link.failures;
    const std::uint64_t now = failures.count, fresh = now - std::exchange(failures.told, now);
    failures.lately = fresh != 0 ? kReportsUntilDecided : std::max(failures.lately - 1, 0);
    requests += fresh;
    if (failures.lately > 0) who += (who.empty() ? "" : ", ") + link.id;
  }
  if (who == undecided_) return;
  undecided_ = who;
  platform_.setDegraded(who.empty() ? ""
                                    : who + " gives no verdict: what it should decide on is refused with 503; see how "
                                            "it stands with matrixosctl plugins list");
  if (who.empty()) return log_.info("no request is refused any more for want of a policy's verdict");
  log_.error("a policy gives no verdict: the requests it should decide on are refused with 503",
             {{"policies", who}, {"requests", requests}});
}

/// The one in use, unless other files are named now.
std::shared_ptr<http::TlsContext> ProxyPlugin::readCertificate() const {
  const std::string file = config_.getString("tls_certificate");
  const std::string key = config_.getString("tls_key");
  const auto inUse = certificate();
  if (inUse && inUse->certificateFile() == file && inUse->keyFile() == key) return inUse;
  return std::make_shared<http::TlsContext>(file, key);
}

void ProxyPlugin::start() {
  const ProxyOptions options = readOptions();
  useCertificate(options.server);
  orchestrator_.emplace(services_.acquire<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1));
  std::optional<LifecycleClient> lifecycle;
  try {
    lifecycle.emplace(services_.acquire<mos_lifecycle_v1>(MOS_LIFECYCLE_1));
    waker_ = std::make_unique<LifecycleWaker>(*lifecycle);
  } catch (const Error &) {
    log_.info("no lifecycle service: requests for a stopped instance are answered 503");
  }
  try {
    proxy_ = std::make_unique<Proxy>(options, routes_, waker_.get());
    watchRoutes();
    reporter_ = std::make_unique<Reporter>(host_, lifecycle);
    proxy_->start();
    showCertificate();
    events_.subscribe(MOS_EVENT_PLATFORM_CHANGED, [this](std::string_view, std::string_view) {
      try {
        followPlugins();
      } catch (const std::exception &e) {
        log_.error("plugins were enabled or disabled, and the proxy goes on without that", {{"error", e.what()}});
      }
    });
    followPlugins(); // what changed meanwhile
    timers_.every(kReportEvery, [this] {
      reporter_->report(*proxy_);
      watchPolicies();
      if (++reports_ % kReportsPerCertificate != 0) return;
      refreshCertificate();
      showCertificate();
    });
  } catch (...) {
    end(std::chrono::milliseconds{0});
    throw;
  }
  logAddresses({});
  warnOfMisfits(options);
}

/// What is valid, and still not what anybody wants.
void ProxyPlugin::warnOfMisfits(const ProxyOptions &options) const {
  if (options.server.proxyProtocol && options.trustedPeers.empty()) {
    log_.warning("proxy_protocol without trusted_peers: nobody can connect; name the load balancers there");
  }
  const std::size_t wanted = toSize(config_.getInt("max_connections"));
  if (options.server.maxConnections < wanted) {
    log_.warning(
        "the limit of open files is too low for max_connections, of which fewer are used; raise it (ulimit -n, "
        "LimitNOFILE), or lower max_connections",
        {{"limit", descriptorLimit()}, {"maxConnections", wanted}, {"used", options.server.maxConnections}});
  }
}

void ProxyPlugin::reconfigure() {
  const std::lock_guard lock(changing_);
  const ProxyOptions options = readOptions();
  const std::vector<Address> before = proxy_->addresses();
  proxy_->reconfigure(options);
  useCertificate(options.server);
  logAddresses(before);
  warnOfMisfits(options);
}

void ProxyPlugin::logAddresses(const std::vector<Address> &before) const {
  const auto in = [](const std::vector<Address> &list, const Address &address) {
    return std::find(list.begin(), list.end(), address) != list.end();
  };
  for (const Address &address : before)
    if (!in(proxy_->addresses(), address)) log_.info("no longer listening", {{"address", address.text()}});
  for (const Address &address : proxy_->addresses())
    if (!in(before, address)) log_.info("listening", {{"address", address.text()}});
}

void ProxyPlugin::watchRoutes() {
  const mos_instance_watcher watcher{
      this,
      [](void *ctx, std::uint64_t rev, mos_str handle, mos_str json) {
        static_cast<ProxyPlugin *>(ctx)->routeChanged(rev, fromAbi(handle), fromAbi(json));
      },
      [](void *ctx, std::uint64_t) { static_cast<ProxyPlugin *>(ctx)->routes_.synced(); }};
  watch_ = orchestrator_->watch(0, watcher);
  watching_ = true;
}

void ProxyPlugin::routeChanged(std::uint64_t rev, std::string_view handle, std::string_view json) noexcept {
  try {
    if (!routes_.hasFromWake(handle, rev)) routes_.apply(InstanceRecord::parse(json));
  } catch (const std::exception &e) {
    log_.error("an instance's record was not understood; its route is unchanged", {{"error", e.what()}});
  }
}

std::shared_ptr<http::TlsContext> ProxyPlugin::certificate() const {
  const std::lock_guard lock(tlsMutex_);
  return tls_;
}

void ProxyPlugin::useCertificate(const http::ServerOptions &server) {
  const std::lock_guard lock(tlsMutex_);
  tls_ = server.tls;
  tlsListen_.clear();
  for (const http::ListenerOptions &listener : server.tlsListen)
    tlsListen_.push_back(listener.address);
}

void ProxyPlugin::showCertificate() {
  const std::unique_lock lock(tlsMutex_);
  reporter_->certificate(tlsListen_, tls_ ? tls_->expiresAt() : 0);
}

void ProxyPlugin::refreshCertificate() {
  const auto tls = certificate();
  if (!tls) return;
  try {
    if (tls->refresh()) log_.info("the certificate was read anew");
    certificateRefused_.clear();
  } catch (const std::exception &e) {
    // Renewing writes one file after the other: said once, and tried again.
    if (certificateRefused_ != e.what()) log_.error("the old certificate stays in use", {{"error", e.what()}});
    certificateRefused_ = e.what();
  }
}

void ProxyPlugin::end(std::chrono::milliseconds drain) noexcept {
  {
    const std::lock_guard lock(changing_);
    ending_ = true;
  }
  if (proxy_) proxy_->stop(drain);
  timers_.cancelAll();
  events_.unsubscribeAll();
  if (std::exchange(watching_, false)) orchestrator_->unwatch(watch_);
  if (proxy_ && reporter_) reporter_->report(*proxy_);
  reporter_.reset();
  proxy_.reset();
}

} // namespace matrixos::proxy

MATRIXOS_PLUGIN(matrixos::proxy::ProxyPlugin,
                matrixos::Descriptor("proxy", "Proxy", "0.1.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Routes requests to instances and to the API, and holds them while an instance wakes.")
                    .needs(matrixos::proxy::kNeeds)
                    .configKeys(matrixos::proxy::kKeys))
