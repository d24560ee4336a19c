#include "Gateway.h"

#include "GatewaySession.h"

#include <matrixos/text/hex.hpp>

#include <sys/random.h>

namespace matrixos::gateway {

namespace {

std::uint64_t seed() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) throw Error(Status::Internal, "getrandom gave no bytes");
  return value;
}

} // namespace

LoopState::LoopState(const FindOwner &find, std::shared_ptr<const Settings> chosen)
    : settings(std::move(chosen)), owners(find), random(seed()) {}

std::string LoopState::makeId() {
  std::string out = "req_mx";
  appendHex(out, random(), 16);
  appendHex(out, random() & 0xFFFFFFFFU, 8);
  return out;
}

std::string LoopState::makeTrace() {
  std::string out = "00-";
  for (int part = 0; part < 2; ++part)
    appendHex(out, random() | 1U, 16); // never all zero
  out += '-';
  appendHex(out, random() | 1U, 16);
  return out += "-01";
}

Gateway::Gateway(const GatewayOptions &options, Surroundings around, std::shared_ptr<http::Resolver> resolver,
                 const mos_host_v1 *host)
    : resolver_(std::move(resolver)), shared_(std::move(around), host), settings_(settingsOf(options, nullptr)),
      server_(std::make_unique<http::Server>(options.server, *this)) {
  shared_.rates.use(options.rates);
  for (std::size_t i = 0; i < server_->loops().size(); ++i)
    loops_.push_back(std::make_unique<LoopState>(shared_.to.findOwner, settings_));
}

Gateway::~Gateway() {
  stop(std::chrono::milliseconds{0});
}

void Gateway::stop(std::chrono::milliseconds drain) {
  if (drain.count() > 0) server_->drain(drain);
  server_->stop();
}

/// Servers and keys that stay keep what is known of them, and their connections.
std::shared_ptr<const Settings> Gateway::settingsOf(const GatewayOptions &options, const Settings *before) const {
  auto next = std::make_shared<Settings>(Settings{options, nullptr});
  if (before != nullptr && before->options.upstreams == options.upstreams && before->options.caFile == options.caFile &&
      before->options.caPem == options.caPem && *before->options.keys == *options.keys) {
    next->options.keys = before->options.keys;
    next->endpoints = before->endpoints;
    return next;
  }
  const auto tls = http::TlsClientContext::create({.systemRoots = true, .file = options.caFile});
  next->endpoints = std::make_shared<Endpoints>(options.upstreams, options.keys, *tls, resolver_);
  return next;
}

std::shared_ptr<const Settings> Gateway::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void Gateway::reconfigure(const GatewayOptions &options) {
  const auto next = settingsOf(options, settings().get());
  server_->reconfigure(options.server, [&](http::Loop &loop) { loops_[loop.index()]->settings = next; });
  shared_.rates.use(options.rates);
  const std::lock_guard lock(mutex_);
  settings_ = next;
}

void Gateway::listen(const std::vector<http::ListenerOptions> &addresses) {
  GatewayOptions options = settings()->options;
  options.server.listen = addresses;
  reconfigure(options);
}

void Gateway::report() {
  shared_.log.write();
  const Endpoints &endpoints = *settings()->endpoints;
  shared_.figures.standing(endpoints.states(monotonicNanos() / 1'000'000), connections());
}

std::unique_ptr<http::Session> Gateway::makeSession(http::Loop &loop, const Address &) {
  return std::make_unique<GatewaySession>(shared_, *loops_[loop.index()]);
}

bool Gateway::isFront(http::Loop &, const Address &peer) {
  return isLoopback(peer);
}

} // namespace matrixos::gateway
