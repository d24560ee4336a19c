#pragma once

#include "EngineDocuments.h"
#include "EngineHttp.h"
#include "ImageName.h"
#include "LogDemuxer.h"
#include "Settings.h"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::docker {

/// The engine understood a request and refused it.
class EngineRefusal : public Error {
public:
  EngineRefusal(Status status, const std::string &message, int httpStatus, std::string words)
      : Error(status, message, "ENGINE_REFUSED"), httpStatus_(httpStatus), words_(std::move(words)) {}

  int httpStatus() const noexcept { return httpStatus_; }
  /// The engine's own message.
  const std::string &words() const noexcept { return words_; }
  bool says(std::string_view text) const noexcept { return words_.find(text) != std::string::npos; }

private:
  int httpStatus_;
  std::string words_;
};

/// The part of the Docker Engine API (v1.41, https://docs.docker.com/engine/api/v1.41/) that the runtime uses, as
/// typed calls; Podman's compatible API serves them as well. Containers and networks go by name or id, which is
/// checked before it enters a path. Thread-safe.
///
/// Beside EngineHttp's errors: EngineRefusal with the engine's words, and Unavailable/ENGINE_REPLY for an answer that
/// is not what the API says. "Absent" is a value where the caller has to tell it apart.
class DockerApi {
public:
  DockerApi(EngineHttp &http, const Settings &settings) : http_(http), settings_(settings) {}

  /// Asks the engine who it is and agrees on an API version with it.
  EngineVersion version(const Call &call);
  /// Whether the engine is Podman, which differs in places; asked once per connection to an engine.
  bool isPodman(const Call &call);

  std::optional<ImageInfo> inspectImage(const Call &call, const std::string &name);
  /// Ends with the pull or the first error inside its stream. `step` answers false to stop, and then false is returned.
  bool pullImage(const Call &call, const ImageName &image, const std::string &registryAuth,
                 const std::function<bool(const PullStep &)> &step);

  std::optional<NetworkInfo> inspectNetwork(const Call &call, const std::string &name);
  /// Networks with all of these labels, or with exactly this name; oldest first.
  std::vector<NetworkInfo> listNetworks(const Call &call, const std::map<std::string, std::string> &labels);
  std::vector<NetworkInfo> listNetworksNamed(const Call &call, const std::string &name);
  /// The new network's id. Throws EngineRefusal (409 or 500) when the name is taken.
  std::string createNetwork(const Call &call, const std::string &name, const std::string &driver,
                            const std::map<std::string, std::string> &labels);
  /// Absent already is success.
  void removeNetwork(const Call &call, const std::string &id);
  void connectNetwork(const Call &call, const std::string &network, const std::string &container);
  void disconnectNetwork(const Call &call, const std::string &network, const std::string &container);

  /// The new container's id. `body` comes from createBody().
  std::string createContainer(const Call &call, const std::string &name, const std::string &body);
  void startContainer(const Call &call, const std::string &container);
  /// Absent and stopped are success.
  void stopContainer(const Call &call, const std::string &container, std::chrono::milliseconds grace);
  /// Absent is success. Volumes stay.
  void removeContainer(const Call &call, const std::string &container, bool force);
  void pauseContainer(const Call &call, const std::string &container);
  void unpauseContainer(const Call &call, const std::string &container);
  std::optional<ContainerInfo> inspectContainer(const Call &call, const std::string &container);
  /// Ids of all containers, running or not, with these labels.
  std::vector<std::string> listContainers(const Call &call, const std::map<std::string, std::string> &labels);
  /// Whether any container, running or not, is attached to the network.
  bool networkHasContainers(const Call &call, const std::string &network);
  /// Lines start with an RFC 3339 time and a space. tail < 0: all.
  void containerLogs(const Call &call, const std::string &container, std::int64_t tail, bool follow,
                     const LogDemuxer::LineFn &line);
  ContainerStats containerStats(const Call &call, const std::string &container);
  /// Returns when the engine ends the stream (true) or the receiver stops it (false).
  /// Of all containers; names and labels are not known of those that were taken off a network.
  bool containerEvents(const Call &call, std::int64_t sinceSeconds,
                       const std::function<bool(const ContainerEvent &)> &event);

private:
  EngineRequest request(const Call &call, std::string method, const std::string &path, std::string body = {});
  /// Sends and throws EngineRefusal unless the status is 2xx, or one of `alsoFine`.
  http::ClientResponse send(const Call &call, const EngineRequest &what, std::initializer_list<int> alsoFine = {});
  std::vector<std::string> listContainersBy(const Call &call, const std::string &filters);
  std::vector<NetworkInfo> listNetworksBy(const Call &call, const std::string &filters);
  EngineVersion negotiate(const Call &call);
  /// "/v1.41", asked for once.
  std::string prefix(const Call &call);
  void forgetVersion() noexcept;

  EngineHttp &http_;
  const Settings &settings_;
  std::mutex mutex_;
  std::string prefix_;
  bool podman_ = false;
};

} // namespace matrixos::docker
