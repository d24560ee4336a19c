#include "plugin/PluginFiles.h"

#include "common/SystemError.h"
#include "common/UniqueFd.h"

#include <matrixos/status.hpp>

#include <Poco/SHA2Engine.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

bool forbidsCode(const fs::path &folder) {
  struct statvfs info {};
  return ::statvfs(folder.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

/// Where the file system that holds `folder` is mounted.
fs::path mountOf(fs::path folder) {
  struct stat own {}, above {};
  if (::stat(folder.c_str(), &own) != 0) return folder;
  while (folder.has_relative_path() && ::stat(folder.parent_path().c_str(), &above) == 0 && above.st_dev == own.st_dev)
    folder = folder.parent_path();
  return folder;
}

void writeAll(int to, const char *data, std::size_t length, const std::string &what) {
  while (length > 0) {
    const ssize_t put = ::write(to, data, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) common::throwErrno(errno, what);
    data += put;
    length -= static_cast<std::size_t>(put);
  }
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
    writeAll(to, buffer.data(), static_cast<std::size_t>(got), what);
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
  const common::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    common::throwErrno(errno, "opening the folder " + folder.string() + " for copies of plugins");
  }
  if (info.st_uid == ::geteuid() && ::fchmod(fd.get(), 0700) == 0) return;
  throw Error(Status::PermissionDenied,
              "the folder " + folder.string() + " for copies of plugins belongs to another user; remove it",
              "PLUGIN_COPY");
}

} // namespace

PluginFiles::PluginFiles(fs::path folder) : folder_(std::move(folder)) {}

PluginFiles::~PluginFiles() {
  std::error_code ignored;
  for (const fs::path &copy : copies_)
    fs::remove(copy, ignored);
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
  const fs::path &folder = preparedFolder();
  std::string name = (folder / (id + "." + std::to_string(++count_[id]) + "-XXXXXX.so")).string();
  const common::UniqueFd to(::mkostemps(name.data(), 3, O_CLOEXEC));
  if (!to) common::throwErrno(errno, "making a copy of the plugin " + id + " in " + folder.string());
  copies_.emplace_back(name);
  try {
    return {name, copyContent(from, to.get(), "copying the plugin " + id + " to " + name)};
  } catch (...) {
    ::unlink(name.c_str());
    copies_.pop_back();
    throw;
  }
}

void PluginFiles::discard(const fs::path &copy) {
  const std::lock_guard lock(mutex_);
  copies_.erase(std::remove(copies_.begin(), copies_.end(), copy), copies_.end());
  ::unlink(copy.c_str());
}

void PluginFiles::removeStrangers() {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder_, error)) {
    if (std::find(copies_.begin(), copies_.end(), entry.path()) == copies_.end()) ::unlink(entry.path().c_str());
  }
}

const fs::path &PluginFiles::preparedFolder() {
  if (prepared_) return folder_;
  if (folder_.empty()) {
    makeTemporaryFolder();
  } else {
    makeFolders(folder_, made_);
    checkPrivate(folder_);
    if (forbidsCode(folder_)) {
      const std::string mount = mountOf(folder_).string();
      throw Error(Status::FailedPrecondition,
                  "plugins cannot be loaded from " + folder_.string() + ": " + mount +
                      " is mounted noexec; choose another [plugins] copies, or mount -o remount,exec " + mount,
                  "PLUGIN_NOEXEC");
    }
  }
  prepared_ = true;
  return folder_;
}

void PluginFiles::makeTemporaryFolder() {
  std::error_code error;
  std::string tried;
  for (const fs::path &base : {fs::temp_directory_path(error), fs::path("/var/tmp"), fs::path("/dev/shm")}) {
    std::string name = (base / "matrixos-plugins-XXXXXX").string();
    tried += (tried.empty() ? "" : ", ") + base.string();
    if (base.empty() || forbidsCode(base) || ::mkdtemp(name.data()) == nullptr) continue;
    folder_ = name;
    made_.push_back(folder_);
    return;
  }
  throw Error(Status::FailedPrecondition,
              "plugins cannot be loaded: none of " + tried +
                  " can be written and holds code (mounted noexec?); set TMPDIR to a folder that can",
              "PLUGIN_NOEXEC");
}

} // namespace matrixos::plugin
