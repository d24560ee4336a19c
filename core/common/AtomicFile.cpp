#include "common/AtomicFile.h"

#include "common/SystemError.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <string>

namespace matrixos::common {
namespace {

/// Between a file's name and a ULID: what is being written.
constexpr std::string_view kUnfinished = ".tmp-";
constexpr std::size_t kUlidLength = 26;

/// "name.tmp-ULID", maybe with what SQLite appends: "-journal".
bool isUnfinished(std::string_view name) {
  const std::size_t mark = name.rfind(kUnfinished);
  if (mark == std::string_view::npos) return false;
  name.remove_prefix(mark + kUnfinished.size());
  return name.size() == kUlidLength || (name.size() > kUlidLength && name[kUlidLength] == '-');
}

std::filesystem::path folderOf(const std::filesystem::path &path) {
  const auto folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

} // namespace

void syncDirectory(const std::filesystem::path &directory) {
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throwErrno(errno, "opening the folder " + directory.string());
  if (::fsync(fd.get()) != 0) throwErrno(errno, "syncing the folder " + directory.string());
}

void writeFileAtomically(const std::filesystem::path &path, std::string_view bytes, mode_t mode) {
  const std::string temporary = path.string() + std::string(kUnfinished) + makeUlid();
  const std::string what = "writing " + path.string();
  FileDescriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) throwErrno(errno, what);
  try {
    // The umask may have taken bits away that the caller asked for.
    if (::fchmod(fd.get(), mode) != 0) throwErrno(errno, what);
    if (const int code = writeAll(fd.get(), bytes)) throwErrno(code, what);
    if (::fsync(fd.get()) != 0) throwErrno(errno, what);
    fd.reset();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throwErrno(errno, what);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  syncDirectory(folderOf(path));
}

void publishFile(const std::filesystem::path &from, const std::filesystem::path &to) {
  const FileDescriptor fd(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throwErrno(errno, "opening " + from.string());
  if (::fsync(fd.get()) != 0) throwErrno(errno, "syncing " + from.string());
  if (::rename(from.c_str(), to.c_str()) != 0) throwErrno(errno, "renaming " + from.string() + " to " + to.string());
  syncDirectory(folderOf(to));
}

void removeUnfinished(const std::filesystem::path &folder) noexcept {
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (isUnfinished(at->path().filename().string())) ::unlink(at->path().c_str());
  }
}

std::string readFile(const std::filesystem::path &path, std::size_t limit) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throwErrno(errno, "opening " + path.string());
  std::string bytes;
  char chunk[16384];
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got < 0) {
      if (errno == EINTR) continue;
      throwErrno(errno, "reading " + path.string());
    }
    if (got == 0) return bytes;
    bytes.append(chunk, static_cast<std::size_t>(got));
    if (bytes.size() > limit) {
      throw Error(Status::OutOfRange, path.string() + " is longer than " + std::to_string(limit) + " bytes");
    }
  }
}

} // namespace matrixos::common
