#pragma once

#include "DockerApi.h"
#include "HostVolumes.h"
#include "InstanceSpec.h"
#include "NetworkLocks.h"
#include "Settings.h"

#include <matrixos/runtime.hpp>

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::docker {

/// "matrixos.runtime/1" on a Docker Engine: what each function does and how it fails stands in abi/runtime.h. All
/// functions may be called concurrently. The settings outlive the runtime.
class DockerRuntime : public Runtime {
public:
  DockerRuntime(EngineHttp &http, const Settings &settings)
      : settings_(settings), api_(http, settings), volumes_(settings) {}

  std::string capabilities(const Call &call) override;
  std::string pull(const Call &call, std::string_view requestJson, const ItemFn &progress) override;
  std::string create(const Call &call, std::string_view specJson) override;
  void start(const Call &call, std::string_view ref) override;
  void stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) override;
  void remove(const Call &call, std::string_view ref, std::uint32_t flags) override;
  std::string inspect(const Call &call, std::string_view ref) override;
  void list(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  void logs(const Call &call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) override;
  std::string stats(const Call &call, std::string_view ref) override;
  void pause(const Call &call, std::string_view ref) override;
  void unpause(const Call &call, std::string_view ref) override;
  void events(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  std::string volumeEnsure(const Call &call, std::string_view requestJson) override;
  void volumeTrash(const Call &call, std::string_view volume, std::string_view as) override;
  void volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) override;
  std::string endpoints(const Call &call, std::string_view ref) override;
  std::string startDescribed(const Call &call, std::string_view ref) override;
  void volumeRemoveIfEmpty(const Call &call, std::string_view volume) override;

  /// Asks the engine who it is; for the health probe.
  EngineVersion version(const Call &call) { return api_.version(call); }

private:
  ContainerInfo require(const Call &call, const std::string &ref);

  // Creation.
  void addLabels(const Call &call, InstanceSpec &spec) const;
  std::string hostGateway(const Call &call);
  std::string aliasAddress(const Call &call, const InstanceSpec &spec);
  std::string createOrAdopt(const Call &call, const InstanceSpec &spec, const std::string &body);
  std::string adopt(const InstanceSpec &spec, const ContainerInfo &holder);
  void undoCreate(const InstanceSpec &spec, const std::string &body) noexcept;

  // Networks. `ensureNetwork` is true when it made the network.
  bool hasNetwork(const Call &call, const std::string &name);
  bool ensureNetwork(const Call &call, const InstanceSpec::Network &network);
  void removeIfUnused(const Call &call, const NetworkInfo &network);
  void removeUnusedNetworks(const Call &call);
  void repairNetworks(const Call &call, const std::string &ref);
  bool rejoinNetwork(const Call &call, const ContainerInfo &info);

  // Starting.
  ContainerInfo startVerified(const Call &call, const std::string &ref);
  void startOnce(const Call &call, const std::string &ref);
  void forgetOccupied(const std::string &ref);
  void stopOnce(const Call &call, const std::string &name, std::chrono::milliseconds grace);
  void startUnambiguously(const Call &call, const std::string &ref);
  ContainerInfo verifyRunning(const Call &call, const std::string &ref);
  std::string lastLines(const Call &call, const std::string &ref);

  const Settings &settings_;
  DockerApi api_;
  HostVolumes volumes_;
  NetworkLocks locks_;
  std::mutex occupiedMutex_;
  std::map<std::string, std::vector<int>, std::less<>> occupied_; ///< by ref: what its last start found occupied
};

} // namespace matrixos::docker
