#include "Instances.h"

#include <matrixos/handle.hpp>
#include <matrixos/json_text.hpp>

#include <http/codec/Authority.h>
#include <http/engine/HostName.h>

#include <algorithm>

namespace matrixos::gateway {

namespace {

constexpr std::size_t kMostUrl = 1024;

std::string bracketed(const std::string &address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

/// `authority` with a port. Kept for one message each: another instance may have the address by the next.
std::shared_ptr<const MessageTarget> targetAt(std::string authority, std::string prefix,
                                              const std::shared_ptr<http::Resolver> &resolver) {
  auto to = std::make_shared<http::Upstream>();
  to->reuse = false;
  http::Upstream::Candidate candidate;
  candidate.host = http::HostName::parse(authority, resolver);
  to->candidates.push_back(std::move(candidate));
  return std::make_shared<MessageTarget>(MessageTarget{std::move(authority), std::move(prefix), std::move(to)});
}

/// "http://host[:port][/prefix]".
std::shared_ptr<const MessageTarget> targetOf(std::string_view url, const std::shared_ptr<http::Resolver> &resolver) {
  constexpr std::string_view kPlain = "http://";
  const auto refuse = [] { return Error(Status::InvalidArgument, "gatewayUrl has to be like http://host:4000"); };
  if (url.substr(0, kPlain.size()) != kPlain) throw refuse();
  const std::string_view rest = url.substr(kPlain.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const auto authority = http::Authority::parse(rest.substr(0, slash), 80);
  std::string prefix(rest.substr(slash));
  while (!prefix.empty() && prefix.back() == '/')
    prefix.pop_back();
  const bool plain = std::all_of(prefix.begin(), prefix.end(), [](char c) { return c > ' ' && c < 127; });
  if (url.size() > kMostUrl || !authority || !plain || prefix.find_first_of("?#%\\") != std::string::npos ||
      prefix.find("..") != std::string::npos)
    throw refuse();
  return targetAt(std::string(authority->name) + ":" + std::to_string(authority->port), std::move(prefix), resolver);
}

} // namespace

bool isLoopback(const Address &peer) {
  const std::string ip = peer.ip();
  return ip == "::1" || ip.compare(0, 4, "127.") == 0;
}

void Instances::dropAddresses(const Known &known) {
  for (const std::string &address : known.addresses) {
    const auto found = addresses_.find(address);
    if (found != addresses_.end() && --found->second == 0) addresses_.erase(found);
  }
}

void Instances::load() {
  if (table_ == nullptr) return;
  table_->each([this](const std::string &handle, const std::string &gatewayUrl, std::int64_t atMs) {
    Registered entry{gatewayUrl, atMs, targetOf(gatewayUrl, resolver_)};
    const std::lock_guard lock(mutex_);
    registered_.insert_or_assign(handle, std::move(entry));
  });
}

void Instances::apply(const InstanceRecord &record) {
  Known next;
  next.rev = record.rev;
  next.id = record.id;
  next.owner = record.clerkUserId;
  for (const InstanceEndpoint &endpoint : record.endpoints) {
    if (endpoint.scope == "bridge") next.addresses.push_back(endpoint.address);
    if (endpoint.name == "gateway" && !next.target) {
      const std::string port = std::to_string(endpoint.port);
      next.target = targetAt(bracketed(endpoint.address) + ":" + port, {}, resolver_);
    }
  }
  if (!next.target) next.target = std::make_shared<MessageTarget>();
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(record.handle);
  if (found != known_.end()) {
    if (found->second.rev > record.rev) return;
    dropAddresses(found->second);
    known_.erase(found);
  }
  if (record.gone()) return;
  for (const std::string &address : next.addresses)
    ++addresses_[address];
  known_.emplace(record.handle, std::move(next));
}

bool Instances::isOurs(const Address &peer) const {
  const std::string ip = peer.ip();
  const std::lock_guard lock(mutex_);
  return addresses_.find(ip) != addresses_.end();
}

std::shared_ptr<const MessageTarget> Instances::find(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  if (const auto known = known_.find(handle); known != known_.end()) return known->second.target;
  const auto registered = registered_.find(handle);
  return registered == registered_.end() ? nullptr : registered->second.target;
}

std::optional<std::string> Instances::idOf(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(handle);
  return known == known_.end() ? std::nullopt : std::optional(known->second.id);
}

std::vector<std::string> Instances::ownedBy(std::string_view user) const {
  std::vector<std::string> handles;
  const std::lock_guard lock(mutex_);
  for (const auto &[handle, known] : known_)
    if (!user.empty() && known.owner == user) handles.push_back(handle);
  return handles;
}

void Instances::enter(const std::string &handle, const std::string &gatewayUrl, std::int64_t nowMs) {
  if (!isHandle(handle)) throw Error(Status::InvalidArgument, "handle is none");
  Registered entry{gatewayUrl, nowMs, targetOf(gatewayUrl, resolver_)};
  const std::lock_guard change(changes_);
  {
    const std::lock_guard lock(mutex_);
    if (known_.find(handle) != known_.end())
      throw Error(Status::AlreadyExists, "the platform runs that instance itself, and knows its gateway");
    if (registered_.size() >= kMostRegistered && registered_.find(handle) == registered_.end())
      throw Error(Status::ResourceExhausted, "too many gateways are registered; take some out");
  }
  if (table_ != nullptr) table_->put(handle, gatewayUrl, nowMs);
  const std::lock_guard lock(mutex_);
  registered_.insert_or_assign(handle, std::move(entry));
}

bool Instances::forget(std::string_view handle) {
  const std::lock_guard change(changes_);
  if (table_ != nullptr) table_->remove(handle);
  const std::lock_guard lock(mutex_);
  const auto found = registered_.find(handle);
  if (found == registered_.end()) return false;
  registered_.erase(found);
  return true;
}

std::string Instances::listJson() const {
  JsonArray out;
  const std::lock_guard lock(mutex_);
  for (const auto &[handle, entry] : registered_) {
    JsonObject item;
    item.add("handle", handle).add("gatewayUrl", entry.gatewayUrl).add("registeredAt", formatTime(entry.atMs));
    out.add(std::move(item).str());
  }
  return std::move(out).str();
}

} // namespace matrixos::gateway
