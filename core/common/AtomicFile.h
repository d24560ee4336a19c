/// Files that are either the old or the new content after a crash, never something in between.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace matrixos::common {

/// Replaces the file with `bytes`: writes a temporary file beside it, syncs it, renames it over the old one and syncs
/// the folder. The content is durable once it returns. On failure the old file is untouched, the temporary one is
/// removed, and Error says why.
void writeFileAtomically(const std::filesystem::path &path, std::string_view bytes, mode_t mode = 0600);

/// Renames a finished file over `to` and makes that durable: syncs the file, renames, syncs the folder.
void publishFile(const std::filesystem::path &from, const std::filesystem::path &to);

/// Makes renames and removals inside the folder durable (fsync(2), "Calling fsync() does not necessarily ensure that
/// the entry in the directory has also reached disk").
void syncDirectory(const std::filesystem::path &directory);

/// Removes from the folder what writeFileAtomically() and database backups left of files in it when their process was
/// killed. Nobody may be writing there.
void removeUnfinished(const std::filesystem::path &folder) noexcept;

/// The whole file, at most `limit` bytes. Throws Error: NotFound, PermissionDenied, OutOfRange when it is longer.
std::string readFile(const std::filesystem::path &path, std::size_t limit = std::size_t{16} << 20U);

} // namespace matrixos::common
