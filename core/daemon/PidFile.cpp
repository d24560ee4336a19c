#include "daemon/PidFile.h"

#include "common/SystemError.h"

#include <matrixos/status.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace matrixos::daemon {

namespace {

/// The text without the line's end; empty for anything but a number.
std::string readId(const FileDescriptor &file, bool &isEmpty) {
  std::array<char, 32> text{};
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  isEmpty = got == 0;
  std::string id(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (!id.empty() && id.back() == '\n') id.pop_back();
  return id.find_first_not_of("0123456789") == std::string::npos ? id : "";
}

[[noreturn]] void refuse(Status status, const std::filesystem::path &path, const std::string &why) {
  throw Error(status, "the file " + path.string() + " " + why + "; choose another --pidfile", "PID_FILE");
}

} // namespace

PidFile::PidFile(std::filesystem::path path) : path_(std::move(path)) {
  const std::string doing = "writing the file " + path_.string();
  do {
    // O_NONBLOCK: a FIFO would wait for a reader.
    file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644));
    if (!file_) common::throwErrno(errno, doing);
    bool isEmpty = false;
    const std::string id = readId(file_, isEmpty);
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0 || !S_ISREG(info.st_mode) || (id.empty() && !isEmpty)) {
      file_.reset();
      refuse(Status::FailedPrecondition, path_, "is there and holds no process id");
    }
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      file_.reset();
      refuse(Status::Unavailable, path_, "belongs to process " + id + ", which runs");
    }
    // Its owner may have removed it between open and lock.
  } while (!isThere());
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    common::throwErrno(errno, doing);
  }
}

PidFile::~PidFile() {
  if (file_ && isThere()) ::unlink(path_.c_str());
}

bool PidFile::isThere() const {
  struct stat own {
  }, there{};
  return ::fstat(file_.get(), &own) == 0 && ::lstat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev &&
         own.st_ino == there.st_ino;
}

} // namespace matrixos::daemon
