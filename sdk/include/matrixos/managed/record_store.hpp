/// matrixos/managed/record_store.hpp: small files that survive a crash, one per instance.
#pragma once

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {
namespace managed {

/// A folder of records `<key>.json`. A record is written beside its place, synced and renamed: after a crash or a power
/// loss each is whole, the old or the new. The folder belongs to one RecordStore at a time, across processes.
/// Thread-safe for different keys. Keys have to be safe as file names. Throws Error(FailedPrecondition, STATE_DIR or
/// ResourceExhausted) with the system's words.
class RecordStore {
public:
  /// A spec, which is bounded, and some.
  static constexpr std::size_t kMaxRecord = 4U * 1024 * 1024;

  /// Makes the folder, mode 0700, and takes its lock; waits a few seconds for a former owner that is just ending.
  explicit RecordStore(std::string folder) : folder_(std::move(folder)) {
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    if (failure) throw failed("cannot be made", failure.value());
    fd_ = FileDescriptor(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd_) throw failed("cannot be opened", errno);
    static_cast<void>(::fchmod(fd_.get(), 0700));
    lock();
  }

  const std::string &folder() const noexcept { return folder_; }

  /// Lets another have the folder.
  void unlock() const noexcept { ::flock(fd_.get(), LOCK_UN); }

  /// Durable on return.
  void write(const std::string &key, const std::string &text) const {
    const std::string temporary = "." + key + ".new";
    FileDescriptor file(
        ::openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw failed("cannot take a record", errno);
    if (const int code = writeAll(file.get(), text)) throw failed("cannot take a record", code);
    if (::fsync(file.get()) != 0) throw failed("cannot sync a record", errno);
    if (::renameat(fd_.get(), temporary.c_str(), fd_.get(), (key + ".json").c_str()) != 0) {
      throw failed("cannot keep a record", errno);
    }
    sync();
  }

  /// Absent is success. Durable on return.
  void remove(const std::string &key) const {
    if (::unlinkat(fd_.get(), (key + ".json").c_str(), 0) != 0 && errno != ENOENT) {
      throw failed("cannot forget a record", errno);
    }
    sync();
  }

  /// Moves a record that makes no sense out of the way, for people to look at.
  void setAside(const std::string &key) const noexcept {
    static_cast<void>(::renameat(fd_.get(), (key + ".json").c_str(), fd_.get(), (key + ".broken").c_str()));
  }

  /// All records by key. What a crash left half-written is removed.
  std::vector<std::pair<std::string, std::string>> readAll() const {
    std::vector<std::pair<std::string, std::string>> records;
    for (const std::string &name : names()) {
      if (name.front() == '.') {
        ::unlinkat(fd_.get(), name.c_str(), 0);
      } else if (name.size() > 5 && name.compare(name.size() - 5, 5, ".json") == 0) {
        records.emplace_back(name.substr(0, name.size() - 5), read(name));
      }
    }
    return records;
  }

private:
  Error failed(const std::string &what, int code) const {
    const bool full = code == ENOSPC || code == EDQUOT || code == EMFILE || code == ENFILE;
    return Error(full ? Status::ResourceExhausted : Status::FailedPrecondition,
                 "the folder " + folder_ + " " + what + ": " + std::generic_category().message(code), "STATE_DIR");
  }

  void lock() const {
    constexpr int kTries = 100;
    for (int attempt = 0; ::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw failed("cannot be locked", errno);
      if (attempt == kTries) {
        throw Error(Status::FailedPrecondition,
                    "the folder " + folder_ + " is in use by another runtime: give each a folder of its own",
                    "STATE_DIR");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }

  void sync() const {
    if (::fsync(fd_.get()) != 0) throw failed("cannot be synced", errno);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    FileDescriptor own(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *dir = own ? ::fdopendir(own.get()) : nullptr;
    if (dir == nullptr) throw failed("cannot be read", errno);
    static_cast<void>(own.release());
    while (const dirent *entry = ::readdir(dir)) {
      const std::string name(entry->d_name);
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(dir);
    return names;
  }

  std::string read(const std::string &name) const {
    std::string text;
    const FileDescriptor file(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    std::array<char, 16384> space{};
    while (file && text.size() < kMaxRecord) {
      const ssize_t count = ::read(file.get(), space.data(), space.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      text.append(space.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

  std::string folder_;
  FileDescriptor fd_;
};

} // namespace managed
} // namespace v1
} // namespace matrixos
