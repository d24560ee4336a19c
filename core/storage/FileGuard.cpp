#include "storage/FileGuard.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace matrixos::storage {

namespace {

/// Sets `now`; false when there is no such file. Other failures say nothing about it: `now` stays as it was.
bool examine(const std::filesystem::path &file, std::optional<struct stat> &now) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0) {
    now = info;
    return true;
  }
  return errno != ENOENT;
}

bool isSame(const struct stat &a, const struct stat &b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

} // namespace

FileGuard::FileGuard(std::filesystem::path file)
    : file_(std::move(file)), log_(file_.string() + "-wal"), open_(::open(file_.c_str(), O_RDONLY | O_CLOEXEC)),
      wal_(file_, log_) {
  examine(file_, fileThen_);
}

/// Whether the file holds as many pages as its header counts (https://sqlite.org/fileformat.html#the_database_header):
/// one that another program compacted is smaller, and whole.
bool FileGuard::isWhole(off_t size) const {
  std::array<unsigned char, 100> header{};
  if (!open_ || ::pread(open_.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()))
    return false;
  const auto byte = [&](std::size_t at) { return std::uint64_t{header[at]}; };
  const std::uint64_t shortPage = byte(16) << 8U | byte(17);
  const std::uint64_t page = shortPage == 1 ? 65536 : shortPage;
  const std::uint64_t pages = byte(28) << 24U | byte(29) << 16U | byte(30) << 8U | byte(31);
  return page * pages > 0 && page * pages <= static_cast<std::uint64_t>(size);
}

std::string FileGuard::look() {
  std::optional<struct stat> now = fileThen_;
  if (!examine(file_, now)) return file_.string() + " was deleted";
  if (now && fileThen_) {
    if (!isSame(*now, *fileThen_)) return file_.string() + " was replaced by another file";
    if (now->st_size < fileThen_->st_size && !isWhole(now->st_size)) return file_.string() + " was cut short";
  }
  fileThen_ = now;
  now = logThen_;
  const bool there = examine(log_, now);
  if (logThen_ && !there) return log_.string() + " was deleted";
  if (logThen_ && now && !isSame(*now, *logThen_)) return log_.string() + " was replaced by another file";
  if (there) logThen_ = now;
  if (there && !wal_.isWhole()) return log_.string() + " was cut short";
  return {};
}

std::string FileGuard::problem() {
  const std::lock_guard lock(mutex_);
  if (!problem_.empty()) return problem_;
  const std::string found = look();
  if (found.empty()) return {};
  return problem_ = "the database's file " + found +
                    " while the daemon uses it: nothing is stored any more, and what was stored since is lost with a "
                    "restart; put the file back, or restore a backup, and restart the daemon";
}

void FileGuard::require() {
  if (const std::string what = problem(); !what.empty()) throw Error(Status::Unavailable, what, "DB_GONE");
}

} // namespace matrixos::storage
