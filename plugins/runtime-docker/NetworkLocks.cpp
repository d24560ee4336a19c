#include "NetworkLocks.h"

#include <algorithm>

namespace matrixos::docker {

NetworkLocks::Use NetworkLocks::use(const Call &call, std::vector<std::string> names) {
  const auto removing = [&] {
    return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
      const auto found = states_.find(name);
      return found != states_.end() && found->second.removing;
    });
  };
  std::unique_lock lock(mutex_);
  while (removing()) {
    call.throwIfDone();
    // A cancellation has no way to signal the condition.
    changed_.wait_for(lock, std::chrono::milliseconds{50});
  }
  for (const std::string &name : names)
    ++states_[name].users;
  return Use(this, std::move(names));
}

NetworkLocks::Creation NetworkLocks::createTurn(const Call &call, const std::string &name) {
  std::unique_lock lock(mutex_);
  while (states_[name].creating) {
    call.throwIfDone();
    changed_.wait_for(lock, std::chrono::milliseconds{50});
  }
  states_[name].creating = true;
  return Creation(this, name);
}

void NetworkLocks::endCreation(const std::string &name) noexcept {
  {
    const std::lock_guard lock(mutex_);
    states_[name].creating = false;
  }
  changed_.notify_all();
}

NetworkLocks::Removal NetworkLocks::removeTurn(const Call &call, const std::string &name) {
  std::unique_lock lock(mutex_);
  // The other one may have looked before our container was gone; if both gave way, nobody would remove it.
  while (states_[name].removing) {
    call.throwIfDone();
    changed_.wait_for(lock, std::chrono::milliseconds{50});
  }
  State &state = states_[name];
  if (state.users != 0) return Removal(nullptr, {});
  state.removing = true;
  return Removal(this, name);
}

void NetworkLocks::endUse(const std::vector<std::string> &names) noexcept {
  const std::lock_guard lock(mutex_);
  for (const std::string &name : names) {
    const auto found = states_.find(name);
    if (found != states_.end() && --found->second.users == 0) states_.erase(found);
  }
}

void NetworkLocks::endRemoval(const std::string &name) noexcept {
  {
    const std::lock_guard lock(mutex_);
    states_.erase(name);
  }
  changed_.notify_all();
}

} // namespace matrixos::docker
