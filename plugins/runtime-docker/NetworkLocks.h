#pragma once

#include <matrixos/call.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::docker {

/// Keeps a network from being removed as unused while somebody is about to attach a container to it. Users of a
/// network share its lock; a removal needs it alone, and gives up rather than wait. No mutex is held meanwhile.
class NetworkLocks {
public:
  /// Shared locks on several networks, given back at its end.
  class Use {
  public:
    Use() = default;
    Use(NetworkLocks *owner, std::vector<std::string> names) noexcept : owner_(owner), names_(std::move(names)) {}
    Use(Use &&other) noexcept : owner_(std::exchange(other.owner_, nullptr)), names_(std::move(other.names_)) {}
    Use &operator=(Use &&) = delete;
    ~Use() { end(); }
    void end() noexcept {
      if (NetworkLocks *owner = std::exchange(owner_, nullptr)) owner->endUse(names_);
    }

  private:
    NetworkLocks *owner_ = nullptr;
    std::vector<std::string> names_;
  };

  /// The lock of a removal.
  class Removal {
  public:
    Removal(NetworkLocks *owner, std::string name) noexcept : owner_(owner), name_(std::move(name)) {}
    Removal(const Removal &) = delete;
    Removal &operator=(const Removal &) = delete;
    ~Removal() {
      if (owner_ != nullptr) owner_->endRemoval(name_);
    }
    /// False when somebody uses the network.
    explicit operator bool() const noexcept { return owner_ != nullptr; }

  private:
    NetworkLocks *owner_;
    std::string name_;
  };

  /// The turn to look for a network and create it when it is missing: the engine itself would make two of one name.
  class Creation {
  public:
    Creation(NetworkLocks *owner, std::string name) noexcept : owner_(owner), name_(std::move(name)) {}
    Creation(const Creation &) = delete;
    Creation &operator=(const Creation &) = delete;
    ~Creation() { owner_->endCreation(name_); }

  private:
    NetworkLocks *owner_;
    std::string name_;
  };

  /// Waits for the others' turns, as long as the call allows. The caller holds a Use of the network.
  Creation createTurn(const Call &call, const std::string &name);
  /// Waits while one of the networks is being removed, as long as the call allows.
  Use use(const Call &call, std::vector<std::string> names);
  /// None while somebody uses the network. Waits for another one's removal to be over, as long as the call allows.
  Removal removeTurn(const Call &call, const std::string &name);

private:
  struct State {
    int users = 0;
    bool removing = false;
    bool creating = false;
  };
  void endUse(const std::vector<std::string> &names) noexcept;
  void endRemoval(const std::string &name) noexcept;
  void endCreation(const std::string &name) noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, State> states_;
};

} // namespace matrixos::docker
