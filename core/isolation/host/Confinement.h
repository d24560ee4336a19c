#pragma once

#include <sys/types.h>

#include <string>

namespace matrixos::isolation::host {

/// For a process that runs a stranger's code only to hear what it is, before that code is loaded: from now on it and
/// its threads can start no program, write and change no file, open no socket and reach into no other process; such
/// calls fail with EPERM. Reading, memory, threads and what is open already stay. Where the kernel has no
/// seccomp filters (seccomp(2)) it throws Error if they are `needed`, and else does nothing.
void confine(bool needed);

/// Gives root's rights up for good: user and groups become those of nobody; where there is no nobody, as in many user
/// namespaces, the capabilities go. Without effect for other users. Throws Error.
void becomeNobody();
/// The same for the user of that number, with all groups of theirs.
void becomeUser(uid_t user);

/// A copy of the file in memory, by a name that this process can open whoever it is then. Throws Error.
std::string copyToMemory(const std::string &file);

} // namespace matrixos::isolation::host
