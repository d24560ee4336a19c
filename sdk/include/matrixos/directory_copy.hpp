/// matrixos/directory_copy.hpp: copies and removes trees that a tenant may rearrange meanwhile.
#pragma once

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace matrixos {
inline namespace v1 {
namespace directory {

/// A tenant can nest without end; each level costs two descriptors and a stack frame.
inline constexpr int kMaxTreeDepth = 256;
inline constexpr std::size_t kCopyStep = 16U * 1024 * 1024;

[[noreturn]] inline void throwOs(const std::string &what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT || code == EMFILE || code == ENFILE;
  throw Error(full ? Status::ResourceExhausted : Status::FailedPrecondition,
              what + ": " + std::generic_category().message(code), "VOLUME_IO");
}

struct CloseDir {
  void operator()(DIR *dir) const noexcept { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

inline Dir openDir(int fd) {
  FileDescriptor own(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) throwOs("a directory cannot be read");
  Dir dir(::fdopendir(own.get()));
  if (!dir) throwOs("a directory cannot be read");
  static_cast<void>(own.release());
  return dir;
}

/// Next entry but "." and "..", or null at the end.
inline const dirent *next(DIR *dir) {
  for (;;) {
    errno = 0;
    const dirent *entry = ::readdir(dir);
    if (entry == nullptr && errno != 0) throwOs("a directory cannot be read");
    if (entry == nullptr) return nullptr;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") return entry;
  }
}

/// Only root may give files away; a copy owned by the daemon is still a good copy.
inline void copyMeta(int to, const struct stat &info) {
  if (::fchown(to, info.st_uid, info.st_gid) != 0 && errno != EPERM) throwOs("a copy's owner cannot be set");
  if (::fchmod(to, info.st_mode & 07777U) != 0) throwOs("a copy's mode cannot be set");
  const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
  if (::futimens(to, times.data()) != 0) throwOs("a copy's time cannot be set");
}

/// Copies bytes [at, end) of one data extent.
inline void copyExtent(const Call &call, int from, int to, off_t at, off_t end) {
  while (at < end) {
    call.throwIfDone();
    const auto step = std::min(kCopyStep, static_cast<std::size_t>(end - at));
    off_t source = at;
    off_t target = at;
    ssize_t copied = ::copy_file_range(from, &source, to, &target, step, 0);
    if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      std::array<char, 64U * 1024> space{};
      copied = ::pread(from, space.data(), std::min(space.size(), step), at);
      if (copied > 0) copied = ::pwrite(to, space.data(), static_cast<std::size_t>(copied), at);
    }
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) throwOs("a file cannot be copied");
    if (copied == 0) return; // truncated meanwhile
    at += copied;
  }
}

inline void copyContent(const Call &call, int from, int to, off_t size) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  // A sparse file of a tenant must not fill the disk with zeros.
  if (::ftruncate(to, size) != 0) throwOs("a file cannot be copied");
  off_t at = 0;
  while (at < size) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;
    if (data < 0) throwOs("a file cannot be copied");
    off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0 || hole > size) hole = size;
    if (hole <= data) return;
    copyExtent(call, from, to, data, hole);
    at = hole;
  }
}

inline void copyFile(const Call &call, int from, int to, const char *name) {
  const FileDescriptor source(::openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!source && (errno == ENOENT || errno == ELOOP)) return;
  if (!source) throwOs("a file cannot be opened");
  struct stat info {};
  if (::fstat(source.get(), &info) != 0) throwOs("a file cannot be examined");
  if (!S_ISREG(info.st_mode)) return;
  const FileDescriptor target(::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!target) throwOs("a copy cannot be made");
  copyContent(call, source.get(), target.get(), info.st_size);
  copyMeta(target.get(), info);
}

inline void copyLink(int from, int to, const char *name, const struct stat &info) {
  std::array<char, PATH_MAX> space{};
  const ssize_t length = ::readlinkat(from, name, space.data(), space.size() - 1);
  if (length < 0) return; // vanished or became something else
  if (::symlinkat(space.data(), to, name) != 0) throwOs("a link cannot be copied");
  if (::fchownat(to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != EPERM) {
    throwOs("a copy's owner cannot be set");
  }
}

inline void copyDirectory(const Call &call, int from, int to, int depth) {
  if (depth > kMaxTreeDepth) {
    throw Error(Status::FailedPrecondition, "the volume's directories are nested too deeply to copy", "VOLUME_IO");
  }
  const Dir dir = openDir(from);
  while (const dirent *entry = next(dir.get())) {
    call.throwIfDone();
    const char *name = entry->d_name;
    struct stat info {};
    if (::fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(info.st_mode)) copyFile(call, from, to, name);
    if (S_ISLNK(info.st_mode)) copyLink(from, to, name, info);
    if (!S_ISDIR(info.st_mode)) continue;
    const FileDescriptor source(::openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!source && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR)) continue;
    if (!source) throwOs("a directory cannot be opened");
    if (::mkdirat(to, name, 0700) != 0) throwOs("a copy cannot be made");
    const FileDescriptor target(::openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!target) throwOs("a copy cannot be opened");
    copyDirectory(call, source.get(), target.get(), depth + 1);
  }
  struct stat info {};
  if (::fstat(from, &info) != 0) throwOs("a directory cannot be examined");
  copyMeta(to, info);
}

inline void removeContent(int fd, int depth) {
  if (depth > kMaxTreeDepth)
    throw Error(Status::FailedPrecondition, "a copy is nested too deeply to remove", "VOLUME_IO");
  const Dir dir = openDir(fd);
  while (const dirent *entry = next(dir.get())) {
    const FileDescriptor below(::openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (below) removeContent(below.get(), depth + 1);
    if (::unlinkat(fd, entry->d_name, below ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
      throwOs("a copy cannot be removed");
    }
  }
}

} // namespace directory

/// Copies the content of directory `from` into the empty directory `to`: owners (as far as the daemon may), modes,
/// times, symlinks as symlinks, holes as holes, sharing blocks where the filesystem can. Devices, sockets and pipes
/// are left out. A tenant may rearrange the tree meanwhile: nothing is followed out of it, and what vanishes is left
/// out. Throws Error(Cancelled, DeadlineExceeded, ResourceExhausted, FailedPrecondition).
inline void copyTree(const Call &call, int from, int to) {
  directory::copyDirectory(call, from, to, 0);
}

/// Removes `name` in directory `parent` with all below it, never following a link. Absent is success.
inline void removeTree(int parent, const std::string &name) {
  const FileDescriptor fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOENT) return;
  if (fd) directory::removeContent(fd.get(), 0);
  if (::unlinkat(parent, name.c_str(), fd ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
    directory::throwOs("a copy cannot be removed");
  }
}

} // namespace v1
} // namespace matrixos
