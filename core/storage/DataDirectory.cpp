#include "storage/DataDirectory.h"

#include "common/AtomicFile.h"
#include "common/Ownership.h"
#include "common/SystemError.h"

#include <matrixos/disk_space.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace matrixos::storage {
namespace {

/// The process id in the lock file, "" when there is none.
std::string readHolder(int fd) {
  char text[32] = {};
  const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < got && text[i] >= '0' && text[i] <= '9'; ++i)
    pid.push_back(text[i]);
  return pid;
}

constexpr const char *kDirectory = "the data directory";
constexpr const char *kRun = "the folder of sockets";

/// The last folder is private; those above it are made as usual.
void makePrivate(const std::filesystem::path &path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) common::throwErrno(error.value(), "making the data directory " + path.string());
  common::makeOwnFolder(path, 0700, kDirectory);
}

} // namespace

DataDirectory::DataDirectory(std::filesystem::path path) : path_(std::move(path)) {
  makePrivate(path_);
  const std::string file = (path_ / "lock").string();
  lock_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_) common::throwErrno(errno, "opening " + file);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) common::throwErrno(errno, "locking " + file);
    const std::string holder = readHolder(lock_.get());
    throw Error(Status::Unavailable,
                "the data directory " + path_.string() + " is in use by " +
                    (holder.empty() ? std::string("another process") : "process " + holder) +
                    "; stop it, or choose another platform.data_dir",
                "IN_USE");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_.get(), 0) != 0 || ::pwrite(lock_.get(), pid.data(), pid.size(), 0) < 0) {
    common::throwErrno(errno, "writing " + file);
  }
  common::removeUnfinished(path_);
  // The API's socket in it may be for a group.
  common::makeOwnFolder(path_ / "run", 0755, kRun);
}

void DataDirectory::check(const std::filesystem::path &path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) common::checkOwnFolder(path, kDirectory);
  if (std::filesystem::exists(path / "run", error)) common::checkOwnFolder(path / "run", kRun);
}

std::optional<std::uint64_t> DataDirectory::freeBytes() const {
  return freeDiskBytes(path_);
}

} // namespace matrixos::storage
