#pragma once

#include <matrixos/call.hpp>

#include <string>

namespace matrixos::docker {

/// Copies the content of directory `from` into the empty directory `to`: owners (as far as the daemon may), modes,
/// times, symlinks as symlinks, holes as holes, sharing blocks where the filesystem can. Devices, sockets and pipes
/// are left out. A tenant may rearrange the tree meanwhile: nothing is followed out of it, and what vanishes is left
/// out. Throws Error(Cancelled, DeadlineExceeded, ResourceExhausted, FailedPrecondition).
void copyTree(const Call &call, int from, int to);

/// Removes `name` in directory `parent` with all below it, never following a link. Absent is success.
void removeTree(int parent, const std::string &name);

} // namespace matrixos::docker
