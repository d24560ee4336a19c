#include "plugin/PluginFiles.h"

#include "common/SystemError.h"

#include <matrixos/disk_space.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <Poco/SHA2Engine.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

/// Of the folder that one process has for itself.
constexpr const char *kPrefix = "process-";

bool forbidsCode(const fs::path &folder) {
  struct statvfs info {};
  return ::statvfs(folder.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

/// Where the file system that holds `folder` is mounted.
fs::path mountOf(fs::path folder) {
  struct stat own {
  }, above{};
  if (::stat(folder.c_str(), &own) != 0) return folder;
  while (folder.has_relative_path() && ::stat(folder.parent_path().c_str(), &above) == 0 && above.st_dev == own.st_dev)
    folder = folder.parent_path();
  return folder;
}

/// Gives the content's SHA-256.
std::string copyContent(int from, int to, const std::string &what) {
  Poco::SHA2Engine hash(Poco::SHA2Engine::SHA_256);
  std::vector<char> buffer(256 * 1024);
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(from, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) common::throwErrno(errno, what);
    if (got == 0) return Poco::DigestEngine::digestToHex(hash.digest());
    if (const int code = writeAll(to, {buffer.data(), static_cast<std::size_t>(got)})) common::throwErrno(code, what);
    hash.update(buffer.data(), static_cast<unsigned>(got));
    offset += got;
  }
}

/// Makes the folders that are missing and notes them. All are private, as the data directory is, but the one above the
/// last: by default that is <data_dir>/run, where the API's socket is for a group.
void makeFolders(const fs::path &folder, std::vector<fs::path> &made) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path()) {
    missing.push_back(at);
    if (!at.has_relative_path()) break;
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (::mkdir(at->c_str(), *at == folder.parent_path() ? 0755 : 0700) == 0)
      made.push_back(*at);
    else if (errno != EEXIST)
      common::throwErrno(errno, "making the folder " + at->string() + " for copies of plugins");
  }
}

void checkPrivate(const fs::path &folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) common::throwErrno(errno, "opening the folder " + folder.string());
  if (info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
  throw Error(Status::PermissionDenied,
              "others may write to the folder " + folder.string() +
                  " for copies of plugins; it has to belong to the daemon's user, writable by its owner alone",
              "PLUGIN_COPY");
}

/// The lock of a process's folder; none when it is held, or when the folder is not there any more.
FileDescriptor lockFolder(const fs::path &folder) {
  FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
  // Between open and lock, another process may have taken it for an abandoned one.
  struct stat held {
  }, there{};
  const bool same = ::fstat(fd.get(), &held) == 0 && ::stat(folder.c_str(), &there) == 0 && held.st_ino == there.st_ino;
  return same ? std::move(fd) : FileDescriptor();
}

void removeContent(const fs::path &folder) {
  std::error_code error;
  for (const auto &copy : fs::directory_iterator(folder, error))
    ::unlink(copy.path().c_str());
}

/// Removes what processes left that have ended, or were killed. Only what looks like ours: an operator may have named a
/// folder that serves other purposes.
void removeAbandoned(const fs::path &folder) {
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
    const FileDescriptor lock = lockFolder(entry.path());
    if (!lock) continue;
    removeContent(entry.path());
    ::rmdir(entry.path().c_str());
  }
}

} // namespace

PluginFiles::PluginFiles(fs::path folder) : folder_(std::move(folder)) {}

PluginFiles::~PluginFiles() {
  if (!own_.empty()) removeContent(own_);
  std::for_each(made_.rbegin(), made_.rend(), [](const fs::path &folder) { ::rmdir(folder.c_str()); });
}

PluginFiles &PluginFiles::temporary() {
  static PluginFiles files;
  return files;
}

PluginFile PluginFiles::load(const fs::path &folder, const std::string &id) {
  {
    const std::lock_guard lock(mutex_);
    const auto there = loaded_.find(folder / id);
    if (there != loaded_.end() && !there->second.facts().changedOnDisk()) return there->second;
  }
  return loadAnew(folder, id);
}

PluginFile PluginFiles::loadAnew(const fs::path &folder, const std::string &id) {
  const PluginFile file = PluginFile::load(folder, id, *this);
  const std::lock_guard lock(mutex_);
  loaded_.insert_or_assign(folder / id, file);
  return file;
}

PluginFiles::Copy PluginFiles::copy(int from, const std::string &id) {
  const std::lock_guard lock(mutex_);
  if (own_.empty()) prepare();
  struct stat info {};
  // A try that cannot succeed shall not take the last of the space from others.
  if (::fstat(from, &info) == 0 && static_cast<std::uint64_t>(info.st_size) > freeDiskBytes(own_).value_or(UINT64_MAX))
    common::throwErrno(ENOSPC, "copying the plugin " + id + " to " + own_.string());
  const fs::path path = own_ / (id + "." + std::to_string(++count_[id]) + ".so");
  const std::string what = "copying the plugin " + id + " to " + path.string();
  const FileDescriptor to(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to) common::throwErrno(errno, what);
  try {
    return {path, copyContent(from, to.get(), what)};
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
}

void PluginFiles::prepare() {
  if (!folder_.empty()) {
    makeFolders(folder_, made_);
    checkPrivate(folder_);
    if (forbidsCode(folder_)) {
      const std::string mount = mountOf(folder_).string();
      throw Error(Status::FailedPrecondition,
                  "plugins cannot be loaded from " + folder_.string() + ": " + mount +
                      " is mounted noexec; choose another [plugins] copies, or mount -o remount,exec " + mount,
                  "PLUGIN_NOEXEC");
    }
    removeAbandoned(folder_);
    if (!claimOwnFolder(folder_, kPrefix)) common::throwErrno(errno, "making a folder in " + folder_.string());
    return;
  }
  std::error_code error;
  std::string tried;
  for (const fs::path &base : {fs::temp_directory_path(error), fs::path("/var/tmp"), fs::path("/dev/shm")}) {
    tried += (tried.empty() ? "" : ", ") + base.string();
    if (!base.empty() && !forbidsCode(base) && claimOwnFolder(base, "matrixos-plugins-")) return;
  }
  throw Error(Status::FailedPrecondition,
              "plugins cannot be loaded: none of " + tried +
                  " can be written and holds code (mounted noexec?); set TMPDIR to a folder that can",
              "PLUGIN_NOEXEC");
}

bool PluginFiles::claimOwnFolder(const fs::path &base, const std::string &prefix) {
  for (int attempt = 0; attempt < 3 && !lock_; ++attempt) {
    std::string name = (base / (prefix + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) return false;
    lock_ = lockFolder(name);
    if (lock_) own_ = name;
  }
  if (lock_) made_.push_back(own_);
  return static_cast<bool>(lock_);
}

} // namespace matrixos::plugin
