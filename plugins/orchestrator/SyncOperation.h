/// Brings a record in line with what the engine says.
#pragma once

#include "Ends.h"
#include "Engine.h"
#include "Instance.h"
#include "Operation.h"

#include <optional>
#include <vector>

namespace matrixos::orchestrator {

struct Published;

/// True when the record claims something else than the engine says of its container (null: it has none); only for
/// Running, Sleeping, Stopped and Failed. A container that runs and cannot be reached is never as it should be.
bool disagrees(const Instance &record, const Description *container, const std::string &installId);
/// True when the record agrees with the engine but for the endpoints of a running container.
bool lacksEndpoints(const Instance &record, const Description &container, const std::string &installId);

/// Asks the engine afresh and records what it says. It starts nothing that does not run, but has what runs made
/// reachable, and stops what ends again and again.
/// Endpoints are not stored, and may come from a listing instead: if the record has not changed since that listing
/// began, they are taken from it and the engine is not asked again.
class SyncOperation : public Operation {
public:
  SyncOperation(Workshop &workshop, std::string handle) : Operation(Kind::Sync, std::move(handle)), shop_(workshop) {}
  SyncOperation(Workshop &workshop, const Instance &asListed, Description &&listed);

  State advance() override;

private:
  void makeReachable(std::optional<Description> &container);
  void follow(const Instance &record, const Description *container);
  void keepUnstored(Instance next, const Error &why);
  void giveUp(Instance &next, const Description &container);
  void report(const Instance &record, const Published &written, const std::optional<EndsSeen> &ends);

  Workshop &shop_;
  std::uint64_t listedRev_ = 0; ///< 0: nothing was brought along
  std::vector<Endpoint> listedEndpoints_;
  std::int64_t listedStart_ = 0;
  std::int64_t listedRestarts_ = -1;
};

} // namespace matrixos::orchestrator
