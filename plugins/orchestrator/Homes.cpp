#include "Homes.h"

#include "ContainerSpec.h"
#include "InstanceTable.h"
#include "Settings.h"

#include <matrixos/disk_space.hpp>

namespace matrixos::orchestrator {

namespace {

/// So many homes are looked for before their file system is taken for one that is not mounted.
constexpr std::size_t kWitnesses = 8;
constexpr std::string_view kMissing = "VOLUME_NOT_FOUND";

} // namespace

Engine::Volume ensureHome(const Workshop &shop, const Instance &record, const std::string &path,
                          const std::string &operationId) {
  // What has a home is started all the same, to be rescued; a new one that cannot be written to is no use to anybody.
  const std::string problem = record.onceRan() ? std::string() : fullDisk(shop.settings.get()->usersDir);
  if (!problem.empty()) throw Error(Status::ResourceExhausted, problem, "DISK_FULL", 5000);
  const std::vector<std::string> others = shop.table.someVolumes(kWitnesses, record.id);
  Engine::Volume volume =
      shop.engine.ensureVolume(volumeRequest(record, *shop.settings.get(), path, others), operationId);
  if (!volume.created || !record.onceRan()) return volume;
  // A runtime that does not know that it must not make it.
  shop.engine.removeEmptyVolume(volume.ref, operationId + "/again");
  throw Error(Status::NotFound, "the home " + volume.ref + " is missing: bring it back, or delete the instance",
              std::string(kMissing));
}

bool homeIsThere(const Workshop &shop, const Instance &record, const std::string &operationId) {
  if (record.volume.empty()) return false;
  if (!record.onceRan()) return true; // perhaps: then it is nobody's loss
  try {
    ensureHome(shop, record, record.volume, operationId);
    return true;
  } catch (const Error &e) {
    if (e.reason() == kMissing) return false;
    throw;
  }
}

} // namespace matrixos::orchestrator
