/// matrixos/managed/managed_runtime_life.hpp: bodies of managed_runtime.hpp, which includes it: from open() to close().
#pragma once

#include <matrixos/managed_runtime.hpp>

namespace matrixos {
inline namespace v1 {

inline void ManagedRuntime::open() {
  records_ = std::make_unique<managed::RecordStore>(options_.stateDir);
  for (const auto &[key, text] : records_->readAll())
    readBack(key, text);
  try {
    const CallScope scope(managed::kRecoveryTime);
    begin(Call(scope.abi()));
  } catch (const std::exception &e) {
    // The engine may come later: the records stay as they are until then.
    warn(std::string("the instances cannot be looked for yet: ") + e.what());
  }
  open_ = true;
  watcher_ = std::thread([this] { watch(); });
}

inline void ManagedRuntime::close() noexcept {
  open_ = false;
  deaths_.wake();
  if (watcher_.joinable()) watcher_.join();
  if (records_) records_->unlock();
}

inline void ManagedRuntime::readBack(const std::string &key, const std::string &text) {
  try {
    book_.add(std::make_shared<Instance>(managed::fromRecord(key, text)));
  } catch (const Error &e) {
    records_->setAside(key);
    warn("the record " + key + " in " + records_->folder() + " is set aside as .broken: " + e.what());
  }
}

/// The engine's answer; one that was away has come back only once its instances were looked for.
inline EngineInfo ManagedRuntime::ask(const Call &call) {
  try {
    EngineInfo info = engine(call);
    begin(call);
    return info;
  } catch (const Error &e) {
    if (e.status() == Status::Unavailable) recovery_.setDue();
    throw;
  }
}

/// For what needs to know what runs.
inline void ManagedRuntime::begin(const Call &call) {
  call.throwIfDone();
  recovery_.ensure(call, [&] {
    static_cast<void>(engine(call));
    std::vector<Instance> known;
    for (const managed::InstancePtr &instance : book_.everything())
      known.push_back(*instance);
    recover(call, known);
    for (const Instance &instance : known)
      settle(instance.ref);
  });
}

/// What a record says is compared with what runs; a crash may have come at any point. An operation that has the turn
/// sees to it itself.
inline void ManagedRuntime::settle(const std::string &ref) {
  using managed::State;
  std::optional<Turn> turn = book_.tryTake(ref);
  if (!turn) return;
  Instance found = *turn->instance();
  try {
    if (found.state == State::Creating) {
      discard(Call(nullptr), found);
      records_->remove(ref);
      return turn->erase();
    }
    if (found.state == State::Starting && found.token.empty()) {
      found.state = found.runs > 1 ? State::Exited : State::Created;
      return keep(*turn, std::make_shared<Instance>(found));
    }
    if (found.state == State::Starting) found.state = State::Running;
    if (!found.isUp()) return;
    turn->set(std::make_shared<Instance>(found));
    if (!isAlive(found))
      noteDeath(*turn);
    else if (!deaths_.watches(ref))
      watchDeath(found);
  } catch (const Error &e) {
    // The engine may be away: the record stays as it is and is looked at again.
    warn("the instance " + found.spec.name + " could not be checked: " + e.what());
  }
}

inline void ManagedRuntime::watch() {
  auto next = std::chrono::steady_clock::now() + options_.checkInterval;
  while (open_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - std::chrono::steady_clock::now());
    for (const std::string &ref : deaths_.wait(std::max(left, std::chrono::milliseconds{0})))
      checkOne(ref);
    if (std::chrono::steady_clock::now() < next) continue;
    next = std::chrono::steady_clock::now() + options_.checkInterval;
    if (recovery_.isDue()) {
      const CallScope scope(managed::kRecoveryTime);
      guarded(nullptr, [&] { begin(Call(scope.abi())); });
    }
    for (const managed::InstancePtr &instance : book_.all()) {
      if (!open_) return;
      if (!instance->isUp()) continue;
      guarded(nullptr, [&] { tend(*instance); });
      if (!deaths_.watches(instance->ref)) checkOne(instance->ref);
    }
  }
}

/// An operation that has the turn sees the death itself.
inline void ManagedRuntime::checkOne(const std::string &ref) noexcept {
  if (recovery_.isDue()) return;
  guarded(nullptr, [&] {
    std::optional<Turn> turn = book_.tryTake(ref);
    if (turn) current(*turn);
  });
}

inline void ManagedRuntime::watchDeath(const Instance &instance) {
  FileDescriptor fd(deathFd(instance));
  if (fd) deaths_.add(instance.ref, std::move(fd));
}

} // namespace v1
} // namespace matrixos
