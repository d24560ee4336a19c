/// The containers of an instance: which one is its own, and what becomes of others.
#pragma once

#include "ContainerSpec.h"
#include "Engine.h"
#include "Instance.h"
#include "Operation.h"

#include <optional>
#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// True when the container's labels say that it is this installation's and this instance's.
bool belongsTo(const Description &container, const Instance &record, const std::string &installId);

/// The one of `all`, which belong to the instance, that its record means: by ref, else by name, else one that runs,
/// else any. Null when there is none.
const Description *ownOf(const std::vector<Description> &all, const Instance &record);

/// Notes in a record what the engine says of the container's run.
void noteRun(Instance &record, const Description &container);

/// The instance's container, under whatever name it goes now. Throws Error when the engine does not answer.
std::optional<Description> findContainer(const Workshop &shop, const Instance &record);

/// Stops and removes every container of the instance, and networks that nothing uses any more.
void removeContainers(const Workshop &shop, const Instance &record, const std::string &operationId);

/// Before a container is made: none but that may use the instance's home. Answers the ref of one that was made from
/// the same spec and has the record's token, to be taken; "" when there is none. The others are stopped and kept, for
/// people to look at.
std::string adoptOrStop(const Workshop &shop, const Instance &record, const ContainerSpec &spec);

/// The name is taken by a container that is not what is wanted: an older one of the handle gives way. Throws
/// Error(Unavailable, NAME_IN_USE) for a stranger's, and for that of another instance.
void replaceNamesake(const Workshop &shop, const Instance &record, const std::string &operationId);

} // namespace matrixos::orchestrator
