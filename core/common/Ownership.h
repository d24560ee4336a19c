/// Who can put something else in the place of a file or folder that the daemon trusts.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::common {

/// "is owned by root with mode 0755"
std::string ownership(const struct stat &info);
/// The user's name, or "uid 4711" when it has none.
std::string userName(uid_t uid);
/// Why `user` cannot trust the file or folder with its life: it belongs to somebody else than root or the user, or
/// others may write to it. Names the remedy after a semicolon. Empty when there is nothing to say. `what`: "the plugin
/// file".
std::string ownershipProblem(const struct stat &info, const std::filesystem::path &path, const char *what, uid_t user);

/// Why the file cannot hold a secret, as the end of a sentence that begins with its name: "is open to other users; run:
/// chmod 600 /x". With an `owner` it also has to be root's or theirs, so that nobody else can choose the secret. Empty
/// when there is nothing to say.
std::string secretFileProblem(const struct stat &info, const std::filesystem::path &path, std::optional<uid_t> owner);

/// Throws Error(PermissionDenied, reason OWNERSHIP) when the folder is not safe with this process's user:
/// ownershipProblem(), or a folder above it that everybody may write to without the sticky bit, so that anybody could
/// replace it. Other errors are those of stat(2).
void checkOwnFolder(const std::filesystem::path &folder, const char *what);

/// Makes the folder (not those above it) with `mode` less what the umask takes, unless it exists, and checks it. Other
/// errors are those of mkdir(2).
void makeOwnFolder(const std::filesystem::path &folder, mode_t mode, const char *what);

} // namespace matrixos::common
