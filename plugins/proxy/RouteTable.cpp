#include "RouteTable.h"

#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <functional>

namespace matrixos::proxy {

namespace {

/// What makes a pooled connection belong to this instance and to no other.
bool sameTarget(const edge::Upstream::Candidate &candidate, const edge::Address &address) {
  return candidate.address.text() == address.text();
}

std::string epochsOf(const InstanceRecord &record, std::string_view name) {
  std::string out = record.id;
  for (const auto &endpoint : record.endpoints) {
    if (endpoint.name == name) out += "\n" + endpoint.epoch;
  }
  return out;
}

/// An upstream with the epochs that its keys stand for.
struct Keyed : edge::Upstream {
  std::string epochs;
};

} // namespace

InstanceRecord parseInstance(std::string_view text) {
  const json::Object::Ptr object = json::parseObject(text);
  InstanceRecord out;
  out.id = json::getString(*object, "id");
  out.handle = json::getString(*object, "handle");
  out.status = json::getString(*object, "status");
  out.phase = json::findString(*object, "phase").value_or("");
  out.rev = static_cast<std::uint64_t>(json::getInt(*object, "rev", 0));
  const json::Array::Ptr endpoints = json::findArray(*object, "endpoints");
  for (std::size_t i = 0; !endpoints.isNull() && i < endpoints->size(); ++i) {
    const json::Object::Ptr item = endpoints->getObject(static_cast<unsigned>(i));
    if (item.isNull()) throw Error(Status::InvalidArgument, "an endpoint has to be an object");
    const std::int64_t port = json::getInt(*item, "port", 0);
    if (port <= 0 || port > 65535) continue;
    out.endpoints.push_back({json::getString(*item, "name"), json::getString(*item, "address"),
                             static_cast<std::uint16_t>(port), json::findString(*item, "epoch").value_or("")});
  }
  return out;
}

std::size_t RouteTable::shardOf(std::string_view handle) noexcept {
  return std::hash<std::string_view>{}(handle) % kShards;
}

std::size_t RouteTable::size() const {
  std::size_t sum = 0;
  for (const Slot &slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    sum += slot.shard->size();
  }
  return sum;
}

void RouteTable::apply(const InstanceRecord &record) {
  Slot &slot = slots_[shardOf(record.handle)];
  const std::lock_guard lock(slot.mutex);
  const auto found = slot.shard->find(record.handle);
  const Route *before = found == slot.shard->end() ? nullptr : found->second.get();
  // Watch and wake both deliver records; whichever is older loses.
  if (before != nullptr && before->id == record.id && before->rev > record.rev) return;
  if (before == nullptr && record.status == "deleted") return;
  // The record of a former owner may arrive after the handle was given away.
  if (before != nullptr && before->id != record.id && (record.status == "deleted" || before->rev > record.rev)) return;

  auto next = std::make_shared<Shard>(*slot.shard);
  if (record.status == "deleted")
    next->erase(record.handle);
  else
    (*next)[record.handle] = makeRoute(record, before);
  slot.shard = std::move(next);
  slot.generation.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<const Route> RouteTable::makeRoute(const InstanceRecord &record, const Route *before) {
  auto route = std::make_shared<Route>();
  route->id = record.id;
  route->handle = record.handle;
  route->status = record.status;
  route->phase = record.phase;
  route->rev = record.rev;
  route->activity = before != nullptr ? before->activity : std::make_shared<ActivityCell>(record.handle);
  if (!route->running()) return route;
  route->shell = makeUpstream(record, "shell", before);
  route->gateway = makeUpstream(record, "gateway", before);
  return route;
}

std::shared_ptr<const edge::Upstream> RouteTable::makeUpstream(const InstanceRecord &record, std::string_view name,
                                                               const Route *before) {
  auto made = std::make_shared<Keyed>();
  made->epochs = epochsOf(record, name);
  for (const auto &endpoint : record.endpoints) {
    if (endpoint.name != name) continue;
    try {
      made->candidates.push_back({edge::Address::fromIp(endpoint.address, endpoint.port), 0});
    } catch (const Error &) {
      continue; // a name: the data plane resolves nothing
    }
  }
  if (made->candidates.empty()) return nullptr;

  // An unchanged endpoint keeps its pooled connections; any change of instance, address or epoch gets a new number.
  const auto &old = before == nullptr ? nullptr : name == "shell" ? before->shell : before->gateway;
  const auto *known = static_cast<const Keyed *>(old.get());
  bool same = known != nullptr && known->epochs == made->epochs && known->candidates.size() == made->candidates.size();
  for (std::size_t i = 0; same && i < made->candidates.size(); ++i) {
    same = sameTarget(known->candidates[i], made->candidates[i].address);
  }
  if (same) return old;
  for (auto &candidate : made->candidates)
    candidate.key = lastKey_.fetch_add(1) + 1;
  return made;
}

std::shared_ptr<const Route> RouteCache::find(const std::string &handle) {
  const std::size_t index = RouteTable::shardOf(handle);
  const RouteTable::Slot &slot = table_.slots_[index];
  Entry &entry = entries_[index];
  if (entry.generation != slot.generation.load(std::memory_order_acquire)) {
    const std::lock_guard lock(slot.mutex);
    entry.shard = slot.shard;
    entry.generation = slot.generation.load(std::memory_order_relaxed);
  }
  const auto found = entry.shard->find(handle);
  return found == entry.shard->end() ? nullptr : found->second;
}

} // namespace matrixos::proxy
