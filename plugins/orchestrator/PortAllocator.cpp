#include "PortAllocator.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <string>

namespace matrixos::orchestrator {

namespace {

constexpr int kLastPort = 65535;
constexpr std::chrono::minutes kBlockTime{10};

int lastOf(int base, int other, int perRange) {
  const int last = std::min(base + perRange - 1, kLastPort);
  return base < other ? std::min(last, other - 1) : last;
}

} // namespace

PortAllocator::PortAllocator(int gatewayBase, int shellBase, int perRange, const std::vector<int> &never)
    : gateway_{"gateway", gatewayBase, lastOf(gatewayBase, shellBase, perRange), gatewayBase},
      shell_{"shell", shellBase, lastOf(shellBase, gatewayBase, perRange), shellBase},
      never_(never.begin(), never.end()) {}

void PortAllocator::markTaken(const std::vector<int> &ports) {
  const std::lock_guard lock(mutex_);
  taken_.insert(ports.begin(), ports.end());
}

PortPair PortAllocator::take() {
  const std::lock_guard lock(mutex_);
  PortPair pair;
  pair.gateway = takeFrom(gateway_);
  try {
    pair.shell = takeFrom(shell_);
  } catch (...) {
    taken_.erase(pair.gateway);
    gateway_.hint = std::min(gateway_.hint, pair.gateway);
    throw;
  }
  return pair;
}

void PortAllocator::release(int port) {
  const std::lock_guard lock(mutex_);
  if (taken_.erase(port) == 0) return;
  for (Range *range : {&gateway_, &shell_}) {
    if (port >= range->first && port <= range->last) range->hint = std::min(range->hint, port);
  }
}

void PortAllocator::block(int port) {
  const std::lock_guard lock(mutex_);
  blockedUntil_[port] = Clock::now() + kBlockTime;
}

int PortAllocator::takeFrom(Range &range) {
  bool skippedBlocked = false;
  for (int port = range.hint; port <= range.last; ++port) {
    if (!isFree(port)) {
      skippedBlocked = skippedBlocked || blockedUntil_.count(port) != 0;
      continue;
    }
    taken_.insert(port);
    if (!skippedBlocked) range.hint = port + 1;
    return port;
  }
  throw Error(Status::ResourceExhausted,
              "no " + std::string(range.name) + " port is free between " + std::to_string(range.first) + " and " +
                  std::to_string(range.last) + "; raise [orchestrator] ports_per_range or move its base port",
              "NO_FREE_PORT");
}

bool PortAllocator::isFree(int port) {
  if (taken_.count(port) != 0 || never_.count(port) != 0) return false;
  const auto blocked = blockedUntil_.find(port);
  if (blocked == blockedUntil_.end()) return true;
  if (blocked->second > Clock::now()) return false;
  blockedUntil_.erase(blocked);
  return true;
}

} // namespace matrixos::orchestrator
