#include "Proxy.h"

#include "ProxySession.h"

#include <matrixos/text/hex.hpp>

#include <sys/random.h>

#include <array>

namespace matrixos::proxy {

namespace {

std::shared_ptr<const http::Upstream> apiUpstream(const std::string &path) {
  if (path.empty()) return nullptr;
  auto upstream = std::make_shared<http::Upstream>();
  upstream->candidates.push_back({Address::parse("unix:" + path), 0});
  upstream->reuse = false; // a kept connection would hold one of the API's workers
  return upstream;
}

std::uint64_t seed() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) throw Error(Status::Internal, "getrandom gave no bytes");
  return value;
}

} // namespace

Settings::Settings(const ProxyOptions &chosen, std::uint64_t number)
    : options(chosen),
      headers(TrustedPeers(chosen.trustedPeers), chosen.secret, chosen.metricsToken, chosen.clientAddress),
      origins(chosen.allowedOrigins), generation(number) {}

Shared::Shared(const ProxyOptions &chosen, RouteTable &table, Waker *wakes)
    : router(chosen.domain, chosen.consoleHost), routes(table), waker(wakes),
      gate(std::make_shared<WakeGate>(chosen.waitersPerInstance, chosen.waiters)), api(apiUpstream(chosen.apiSocket)) {}

LoopState::LoopState(const RouteTable &table, std::shared_ptr<const Settings> chosen, BusyCount &count)
    : settings(std::move(chosen)), routes(table), telemetry(settings->options.accessLog), busy(count), random(seed()) {}

void LoopState::use(std::shared_ptr<const Settings> chosen) noexcept {
  settings = std::move(chosen);
  telemetry.setLogs(settings->options.accessLog);
}

void LoopState::makeId(std::string &out) {
  out.clear();
  for (std::size_t half = 0; half < 2; ++half)
    appendHex(out, random() | 1U, 16);
}

Proxy::Proxy(const ProxyOptions &options, RouteTable &routes, Waker *waker)
    : settings_(std::make_shared<Settings>(options, 1)), drain_(options.drain), shared_(options, routes, waker),
      server_(std::make_unique<http::Server>(options.server, *this)) {
  shared_.busy = std::vector<BusyCount>(server_->loops().size());
  for (BusyCount &busy : shared_.busy)
    loops_.push_back(std::make_unique<LoopState>(routes, settings_, busy));
  routes.onRetired([this](const http::Upstream::Candidate &gone) { server_->retire(gone, drain_); });
}

Proxy::~Proxy() {
  shared_.routes.onRetired({});
  stop(std::chrono::milliseconds{0});
}

void Proxy::stop(std::chrono::milliseconds drain) {
  if (drain.count() > 0) server_->drain(drain);
  server_->stop();
  for (const std::uint64_t ticket : shared_.gate->leftBehind())
    shared_.waker->forget(ticket);
}

void Proxy::reconfigure(const ProxyOptions &options) {
  const auto next = std::make_shared<const Settings>(options, settings_->generation + 1);
  server_->reconfigure(options.server, [&](http::Loop &loop) { loops_[loop.index()]->use(next); });
  shared_.gate->limit(options.waitersPerInstance, options.waiters);
  settings_ = next;
  drain_ = options.drain;
}

void Proxy::use(std::shared_ptr<const PolicyChain> policies, std::vector<std::string> sites) {
  ProxyOptions options = settings_->options;
  options.policies = std::move(policies);
  options.sites = std::move(sites);
  reconfigure(options);
}

Batch Proxy::collect() {
  Batch batch;
  for (const auto &loop : loops_)
    loop->telemetry.collect(batch);
  open_.insert(batch.open.begin(), batch.open.end());
  std::erase_if(open_, [](const auto &cell) { return !cell->isOpen(); });
  batch.open.assign(open_.begin(), open_.end());
  return batch;
}

bool Proxy::isFront(http::Loop &loop, const Address &peer) {
  return loops_[loop.index()]->settings->headers.trusts(peer);
}

std::unique_ptr<http::Session> Proxy::makeSession(http::Loop &loop, const Address &peer) {
  return std::make_unique<ProxySession>(shared_, *loops_[loop.index()], peer);
}

} // namespace matrixos::proxy
