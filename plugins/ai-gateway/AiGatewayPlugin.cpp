#include "AiGatewayPlugin.h"

#include "SectionKeys.h"
#include "ledger/Commands.h"

#include <matrixos/json.hpp>
#include <matrixos/platform_secret.hpp>

#include <http/engine/AresResolver.h>

#include <algorithm>

namespace matrixos::gateway {

namespace {

constexpr std::chrono::milliseconds kReportEvery{400};
/// Where it does not listen yet it tries again every two seconds.
constexpr int kReportsPerListen = 5;
constexpr std::chrono::seconds kAskRuntime{5};

constexpr mos_claim kClaims[] = {{MOS_CLAIM_PATH, "/ai", nullptr, nullptr}};
constexpr mos_need kNeeds[] = {{MOS_ORCHESTRATOR_1, 1, 0}};

bool same(const http::ListenerOptions &a, const http::ListenerOptions &b) {
  return a.address == b.address && a.tag == b.tag;
}

bool isIn(const http::ListenerOptions &one, const std::vector<http::ListenerOptions> &list) {
  return std::any_of(list.begin(), list.end(), [&](const auto &other) { return same(one, other); });
}

} // namespace

AiGatewayPlugin::AiGatewayPlugin(const mos_host_v1 *host)
    : host_(host), config_(host), platform_(host), log_(host), services_(host), timers_(host), executor_(host),
      registered_(host) {}

AiGatewayPlugin::~AiGatewayPlugin() {
  end(std::chrono::milliseconds{0});
}

std::optional<Owner> AiGatewayPlugin::findOwner(std::string_view token) const {
  auto found = orchestrator_->tokenOwner(token);
  if (!found) return std::nullopt;
  return Owner{std::move(found->id), std::move(found->handle), found->bound, std::move(found->addresses)};
}

void AiGatewayPlugin::start() {
  GatewayOptions options = readOptions(config_, Secret(platformSecret(config_, platform_)));
  const Ledger::Settings limits = readLimits(config_);
  orchestrator_.emplace(services_.acquire<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1));
  resolver_ = std::make_shared<http::AresResolver>();
  instances_ = std::make_unique<Instances>(resolver_, &registered_);
  const std::string folder = json::getString(*json::parseObject(platform_.info()), "dataDir") + "/ai-gateway";
  try {
    Ledger::Surroundings around;
    around.trouble = [this](const std::string &why) {
      {
        const std::lock_guard lock(troubleMutex_);
        ledgerTrouble_ = why;
      }
      showTrouble();
    };
    ledger_ = std::make_unique<Ledger>(host_, folder, std::move(around));
    ledger_->start(limits);
    instances_->load();
    reports_ =
        std::make_unique<Reports>(*ledger_, [this](std::string_view handle) { return instances_->idOf(handle); });
    gateway_ = std::make_unique<Gateway>(
        options,
        Surroundings{*ledger_, *instances_, *reports_, [this](std::string_view token) { return findOwner(token); },
                     [this](std::function<void()> task) { executor_.submit(std::move(task)); }},
        resolver_, host_);
    watchInstances();
    gateway_->start();
    listen(false);
    routes_ = std::make_unique<UsageRoutes>(host_, *reports_,
                                            [this](std::string_view user) { return instances_->ownedBy(user); });
    routes_->publish();
    timers_.every(kReportEvery, [this] {
      gateway_->report();
      if (ticks_++ % kReportsPerListen == 0) listen(true);
    });
  } catch (...) {
    end(std::chrono::milliseconds{0});
    throw;
  }
}

void AiGatewayPlugin::reconfigure() {
  {
    const std::lock_guard lock(changing_);
    GatewayOptions options = readOptions(config_, Secret(platformSecret(config_, platform_)));
    const Ledger::Settings limits = readLimits(config_);
    options.server.listen = bound_;
    gateway_->reconfigure(options);
    ledger_->configure(limits);
  }
  listen(false);
}

void AiGatewayPlugin::watchInstances() {
  const mos_instance_watcher watcher{
      this,
      [](void *ctx, std::uint64_t, mos_str, mos_str json) {
        auto &self = *static_cast<AiGatewayPlugin *>(ctx);
        try {
          self.instances_->apply(InstanceRecord::parse(fromAbi(json)));
        } catch (const std::exception &e) {
          self.log_.error("an instance's record was not understood; what was known stays", {{"error", e.what()}});
        }
      },
      [](void *, std::uint64_t) {}};
  watch_ = orchestrator_->watch(0, watcher);
}

// ---------------------------------------------------------------------------------------------------------- listening

std::optional<Address> AiGatewayPlugin::askHostGateway() const {
  try {
    const CallScope scope(kAskRuntime);
    const json::Object::Ptr says = json::parseObject(orchestrator_->runtimeCapabilities(Call(scope.abi())));
    return Address::tryIp(json::findString(*says, "hostGateway").value_or(""));
  } catch (const std::exception &e) {
    log_.debug("the runtime does not say under which address its containers reach this machine", {{"error", e.what()}});
    return std::nullopt;
  }
}

std::vector<http::ListenerOptions> AiGatewayPlugin::wantedAddresses() const {
  std::vector<http::ListenerOptions> out;
  for (const std::string &text : config_.getList("listen")) {
    const ListenEntry entry = parseListen(text);
    if (!entry.isContainers) {
      out.emplace_back(text);
    } else if (hostGateway_) { // otherwise loopback has to do, for now
      out.emplace_back(hostGateway_->withPort(entry.address.port()).text());
      out.back().tag = kContainersTag;
    }
  }
  return out;
}

void AiGatewayPlugin::listen(bool mayAsk) {
  const std::vector<std::string> entries = config_.getList("listen");
  const bool asks = mayAsk && std::any_of(entries.begin(), entries.end(),
                                          [](const auto &text) { return parseListen(text).isContainers; });
  const std::optional<Address> found = asks ? askHostGateway() : std::nullopt; // no change waits for the runtime
  std::string trouble;
  {
    const std::lock_guard lock(changing_);
    if (ending_) return;
    if (found) hostGateway_ = found;
    const auto wanted = wantedAddresses();
    std::vector<http::ListenerOptions> next;
    for (const auto &one : bound_)
      if (isIn(one, wanted)) next.push_back(one);
    if (next.size() != bound_.size()) {
      gateway_->listen(next);
      bound_ = next;
    }
    for (const auto &one : wanted) {
      if (isIn(one, bound_)) continue;
      next = bound_;
      next.push_back(one);
      try {
        gateway_->listen(next);
        bound_ = next;
        log_.info("listening", {{"address", one.address}});
      } catch (const Error &e) {
        trouble += (trouble.empty() ? "" : "; ") + std::string(e.what());
      }
    }
  }
  const bool keyless = config_.secret("api_keys").empty() && config_.secret("api_key").empty();
  {
    const std::lock_guard lock(troubleMutex_);
    if (!trouble.empty() && trouble != listenTrouble_)
      log_.error("the gateway cannot listen everywhere, and tries again", {{"error", trouble}});
    listenTrouble_ = trouble;
    keyTrouble_ = keyless ? "there is no key for upstreams; set api_keys_file" : "";
  }
  showTrouble();
}

void AiGatewayPlugin::showTrouble() {
  const std::lock_guard lock(troubleMutex_);
  std::string all;
  for (const std::string *one : {&ledgerTrouble_, &listenTrouble_, &keyTrouble_})
    if (!one->empty()) all += (all.empty() ? "" : "; ") + *one;
  if (all == shownTrouble_) return;
  platform_.setDegraded(all);
  shownTrouble_ = all;
}

void AiGatewayPlugin::end(std::chrono::milliseconds drain) noexcept {
  {
    const std::lock_guard lock(changing_);
    ending_ = true;
  }
  timers_.cancelAll();
  if (gateway_) gateway_->stop(drain);
  if (watch_) orchestrator_->unwatch(*std::exchange(watch_, std::nullopt));
  // A start that was given up ends here, too, when the host takes neither lines nor metrics any more.
  if (gateway_) guarded(nullptr, [&] { gateway_->report(); });
  gateway_.reset();
  if (ledger_) ledger_->end();
}

} // namespace matrixos::gateway

MATRIXOS_PLUGIN(
    matrixos::gateway::AiGatewayPlugin,
    matrixos::Descriptor("ai-gateway", "AI gateway", "0.1.0")
        .vendor("Matrix OS")
        .license("MIT")
        .description(
            "Passes instances' calls on to Anthropic with a key that they never see, and keeps count of the money.")
        .needs(matrixos::gateway::kNeeds)
        .claims(matrixos::gateway::kClaims)
        .configKeys(matrixos::gateway::kSectionKeys)
        .commands(matrixos::gateway::kUsageCommands))
