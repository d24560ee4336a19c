#include "Journal.h"

#include <matrixos/status.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace matrixos::simulated {

namespace {

constexpr std::string_view kMagic = "MATRIXOS-SIMULATED-1\n";
/// Length and checksum before each record.
constexpr std::size_t kFrameHead = 8;
constexpr std::uint32_t kLongestRecord = 16U << 20U;

Error ioError(const std::string &what, const std::filesystem::path &path) {
  const int code = errno;
  const Status status = code == ENOSPC || code == EDQUOT ? Status::ResourceExhausted : Status::FailedPrecondition;
  return Error(status, what + " " + path.string() + ": " + std::generic_category().message(code), "STATE_IO");
}

std::uint32_t checksum(std::string_view bytes) noexcept {
  std::uint32_t hash = 0x811c9dc5U; // FNV-1a: it has to notice a cut, not an enemy
  for (const char c : bytes)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193U;
  return hash;
}

void appendFrame(std::string &out, std::string_view record) {
  const std::uint32_t head[2]{static_cast<std::uint32_t>(record.size()), checksum(record)};
  out.append(reinterpret_cast<const char *>(head), sizeof head);
  out += record;
}

/// The record at the beginning of `bytes`; false when it is not whole.
bool takeFrame(std::string_view &bytes, std::string_view &record) {
  if (bytes.size() < kFrameHead) return false;
  std::uint32_t head[2];
  std::memcpy(head, bytes.data(), sizeof head);
  if (head[0] > kLongestRecord || head[0] > bytes.size() - kFrameHead) return false;
  record = bytes.substr(kFrameHead, head[0]);
  if (checksum(record) != head[1]) return false;
  bytes.remove_prefix(kFrameHead + head[0]);
  return true;
}

bool writeAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

} // namespace

void Journal::open(const std::filesystem::path &directory, const Record &replay) {
  path_ = directory / "journal";
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  // A lock file of its own, because rewrite() puts another file in the journal's place.
  const std::filesystem::path lock = directory / "lock";
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) throw ioError("cannot open", lock);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    throw Error(Status::FailedPrecondition,
                "another process simulates an engine in " + directory.string() +
                    "; stop it, or set [runtime-simulated] state_dir to a folder of its own",
                "STATE_IN_USE");
  }
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) throw ioError("cannot open", path_);
  load(replay);
}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
  if (lock_ >= 0) ::close(lock_);
}

void Journal::load(const Record &replay) {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) throw ioError("cannot read", path_);
  const auto length = static_cast<std::size_t>(info.st_size);
  if (length < kMagic.size()) { // new, or cut in its very first write
    if (::ftruncate(fd_, 0) != 0 || !writeAll(fd_, kMagic)) throw ioError("cannot write", path_);
    size_ = base_ = kMagic.size();
    return;
  }
  void *map = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd_, 0);
  if (map == MAP_FAILED) throw ioError("cannot read", path_);
  const std::string_view whole(static_cast<const char *>(map), length);
  std::string_view left = whole;
  try {
    if (left.substr(0, kMagic.size()) != kMagic) {
      throw Error(Status::FailedPrecondition,
                  path_.string() + " is no journal of a simulated engine; move it away or choose another state_dir",
                  "STATE_FOREIGN");
    }
    left.remove_prefix(kMagic.size());
    for (std::string_view record; takeFrame(left, record);)
      replay(record);
  } catch (...) {
    ::munmap(map, length);
    throw;
  }
  size_ = base_ = length - left.size();
  ::munmap(map, length);
  if (size_ != length && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) throw ioError("cannot repair", path_);
}

void Journal::append(const std::vector<std::string> &records) {
  if (!kept()) return;
  frame_.clear();
  for (const std::string &record : records)
    appendFrame(frame_, record);
  if (writeAll(fd_, frame_)) {
    size_ += frame_.size();
    return;
  }
  const Error error = ioError("cannot write", path_);
  // Half a record would hide all that come after it.
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) throw ioError("cannot repair", path_);
  throw error;
}

void Journal::rewrite(const std::function<void(const Record &)> &records) {
  if (!kept()) return;
  std::string bytes(kMagic);
  records([&](std::string_view record) { appendFrame(bytes, record); });
  const std::filesystem::path fresh = path_.string() + ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw ioError("cannot open", fresh);
  if (!writeAll(fd, bytes) || ::rename(fresh.c_str(), path_.c_str()) != 0) {
    const Error error = ioError("cannot write", fresh);
    ::close(fd);
    throw error;
  }
  ::close(fd_);
  fd_ = fd;
  size_ = base_ = bytes.size();
}

} // namespace matrixos::simulated
