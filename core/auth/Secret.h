#pragma once

#include <filesystem>
#include <string>

namespace matrixos::auth {

/// Name of the generated secret inside the data directory.
inline constexpr const char *kSecretFileName = "admin.secret";

/// The secret kept in `file`, without surrounding white space.
/// Throws Error(FailedPrecondition) with what to do when the file is missing, is not a regular file, can be read or
/// written by others, is empty, longer than 4096 bytes, or holds anything but printable ASCII without spaces.
std::string loadSecret(const std::filesystem::path &file);

/// The secret of `<dataDir>/admin.secret`; makes one of 32 random bytes (64 hex digits, mode 0600) when there is none.
/// Several processes may call it at once: the file appears complete, under its name, exactly once, and all of them
/// return what it holds. Throws like loadSecret(), also for a file that belongs to somebody else than root or the
/// process's user, and Error(Unavailable) when the directory cannot be written.
std::string loadOrCreateSecret(const std::filesystem::path &dataDir);

/// The same for a file that the daemon's decisions rest on: also throws for one that belongs to somebody else than root
/// or the process's user.
std::string loadOwnSecret(const std::filesystem::path &file);

/// What the daemon does at start and at a reload: the operator's file if `secretFile` names one, else the generated
/// secret. Throws like loadOrCreateSecret().
std::string resolveSecret(const std::filesystem::path &secretFile, const std::filesystem::path &dataDir);

} // namespace matrixos::auth
