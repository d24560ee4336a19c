#pragma once

#include "EngineClock.h"
#include "EngineState.h"
#include "EventBroadcaster.h"
#include "Journal.h"
#include "Spec.h"

#include <matrixos/runtime.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::simulated {

struct EngineOptions {
  std::uint64_t seed = 1;
  std::string addresses = "127.64.0.0/15"; ///< of this machine alone
  std::string backend;                     ///< "127.0.0.1:8080": where all endpoints lead; empty: nowhere
  bool ports = false;                      ///< publishes host ports
  bool pause = true;
  bool volumes = true;
  bool stats = true;
  std::vector<std::string> images;   ///< present from the start
  std::vector<std::string> registry; ///< patterns of what registries have; empty: everything
  bool health = false;               ///< instances have health checks
  std::chrono::milliseconds healthDelay{0};
  std::filesystem::path stateDir; ///< empty: nothing outlives the engine
};

/// A container engine in memory that does what abi/runtime.h asks of a runtime, at once and without ever failing by
/// itself: no latency, no faults, no JSON borders but spec and description. Deterministic: the same options and the
/// same calls in the same order give the same refs, addresses, digests and events, and with a virtual clock the same
/// times. Any thread; every function throws matrixos::Error in the contract's words.
///
/// No lock is held while a sink is called.
class SimulatedEngine {
public:
  /// Takes up what stateDir holds. The clock outlives the engine.
  SimulatedEngine(EngineOptions options, EngineClock &clock);

  const EngineOptions &options() const noexcept { return options_; }
  EngineClock &clock() noexcept { return clock_; }

  std::string capabilities() const;

  // Images.
  std::optional<std::string> findImage(const std::string &image) const;
  /// The digest that the registry has now. Throws Error(NotFound, IMAGE_NOT_FOUND).
  std::string registryDigest(const std::string &image) const;
  /// Makes the registry's image present; gives its digest.
  std::string fetchImage(const std::string &image);
  void removeImage(const std::string &image);
  /// The registry gets a newer image of that name, with another digest.
  std::string publishImage(const std::string &image);

  // Containers.
  std::string create(const Spec &spec, std::string_view operationId);
  void start(std::string_view ref);
  /// `killed`: it did not end by itself within its grace period.
  void stop(std::string_view ref, bool killed);
  void remove(std::string_view ref, std::uint32_t flags);
  void pause(std::string_view ref);
  void unpause(std::string_view ref);
  std::string inspect(std::string_view ref);
  std::string endpoints(std::string_view ref);
  std::string stats(std::string_view ref);
  /// In order of creation. Complete: what exists during the whole call is told. `limit`: stop after so many.
  void list(const Labels &labels, const ItemFn &item, std::size_t limit = SIZE_MAX);
  std::size_t count(const Labels &labels);
  void logs(const Call &call, std::string_view ref, std::int64_t tail, bool follow, const ItemFn &line);
  void events(const Call &call, const Labels &labels, const ItemFn &item);

  // Volumes. The answer of ensure: its ref, and whether this operation made it.
  std::pair<std::string, bool> ensureVolume(const std::string &name, const std::string &hostPath,
                                            std::string_view operationId);
  void trashVolume(const std::string &volume, const std::string &as);
  void removeVolume(const std::string &volume); ///< empty always: instances write nothing
  void snapshotVolume(const std::string &volume, const std::string &as);

  // What happens behind the caller's back.
  enum class Again { ByPolicy, Never };
  /// It ends by itself, and is started again where its restart policy says so.
  void die(std::string_view ref, int exitCode, bool outOfMemory, Again again = Again::ByPolicy);
  void setHealth(std::string_view ref, Health health);
  /// Host ports that another program holds; replaces what was said before.
  void occupyPorts(std::set<std::uint16_t> ports);
  std::size_t interruptEvents() { return hub_.interrupt(); }

  // What there is.
  /// The container's name; the text itself when there is none.
  std::string nameOf(std::string_view ref);
  std::array<std::size_t, kStateNames.size()> counts() const;
  /// JSON: counts, images, networks, volumes with their data, trash, snapshots.
  std::string summary() const;
  std::size_t listeners() const { return hub_.listeners(); }
  std::uint64_t journalBytes() const;

private:
  void load();
  std::string digestOf(const std::string &image) const;
  void addImage(const std::string &image, const std::string &digest);
  Container *find(std::string_view ref);
  Container &require(std::string_view ref);
  std::string adopt(const Container &holder, const Spec &spec, std::uint64_t operation) const;
  void checkSpec(const Spec &spec) const;
  Shape shapeOf(const Spec &spec) const;

  void write(const std::vector<std::string> &records) { journal_.append(records); }
  void change(Container &container, const Life &life);
  void tell(std::string_view type, const Container &container, std::int32_t exitCode = 0);
  void claimPorts(const Container &container);
  bool isHeldByOthers(std::uint16_t port, const Container &container) const;
  void freePorts(const Container &container) noexcept;
  void startLocked(Container &container);
  void endLocked(Container &container, std::int32_t exitCode, bool outOfMemory);
  void resumeLocked(Container &container);
  void removeUnusedNetworks();

  std::string describe(const Container &container) const;
  std::string endpointsOf(const Container &container) const;
  std::string_view healthOf(const Container &container) const;
  std::vector<std::string> startLines(const Container &container) const;
  std::vector<std::string> endLines(const Container &container) const;
  std::uint64_t identity(const Container &container) const noexcept;

  const EngineOptions options_;
  EngineClock &clock_;
  mutable std::mutex mutex_;
  EngineState state_;
  AddressPool addresses_;
  std::set<std::uint16_t> occupied_;
  std::unordered_map<std::uint16_t, std::uint64_t> boundPorts_; ///< to the serial that has it
  EventBroadcaster hub_;
  Journal journal_;
};

} // namespace matrixos::simulated
