/// matrixos/log_file.hpp: the output of an instance in a file that the instance itself appends to.
///
/// No process stands between the instance and its log, so that it goes on being written while the daemon is away. It is
/// rotated by copying and truncating: a line that is written in that very moment can be lost.
#pragma once

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

class LogFile {
public:
  /// Receives a line and its time in milliseconds since 1970; answers false to stop.
  using LineFn = std::function<bool(std::int64_t timeMs, std::string_view line)>;

  /// `path` and `maxFiles` - 1 older ones, `path`.1 the youngest of them.
  explicit LogFile(std::string path, std::int64_t maxBytes = 10'000'000, int maxFiles = 3)
      : path_(std::move(path)), maxBytes_(maxBytes), maxFiles_(maxFiles) {}

  const std::string &path() const noexcept { return path_; }

  /// Moves the content aside when there is too much of it. One caller at a time.
  void rotateIfLarge() const {
    const FileDescriptor file(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0 || info.st_size < maxBytes_ || maxBytes_ <= 0) return;
    for (int number = maxFiles_ - 1; number > 1; --number)
      static_cast<void>(std::rename(older(number - 1).c_str(), older(number).c_str()));
    if (maxFiles_ > 1) copyTo(file.get(), older(1), info.st_size);
    if (::ftruncate(file.get(), 0) != 0) return; // it stays large, and the next call tries again
  }

  void remove() const {
    static_cast<void>(std::remove(path_.c_str()));
    for (int number = 1; number < maxFiles_; ++number)
      static_cast<void>(std::remove(older(number).c_str()));
  }

  /// Hands on the last `tail` lines (-1: all), then with `follow` what is written from then on for as long as `writing`
  /// answers true. A line's time is when it was seen, for older ones when its file was last written. Throws when the
  /// call is over.
  void read(const Call &call, std::int64_t tail, bool follow, const std::function<bool()> &writing,
            const LineFn &line) const {
    std::deque<Line> last;
    const auto collect = [&](std::int64_t timeMs, std::string_view text) {
      if (tail < 0) return line(timeMs, text);
      last.emplace_back(timeMs, std::string(text));
      if (static_cast<std::int64_t>(last.size()) > tail) last.pop_front();
      return true;
    };
    for (int number = maxFiles_ - 1; number > 0; --number) {
      const FileDescriptor file(::open(older(number).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      Reader reader(file.get());
      if (file && !(reader.drain(call, modified(file.get()), collect) && reader.rest(modified(file.get()), collect))) {
        return;
      }
    }
    const FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return;
    Reader reader(file.get());
    if (!reader.drain(call, modified(file.get()), collect)) return;
    if (!follow && !reader.rest(modified(file.get()), collect)) return;
    for (const auto &[timeMs, text] : last) {
      if (!line(timeMs, text)) return;
    }
    while (follow) {
      const bool more = writing(); // asked first, so that the last words are not missed
      if (!reader.drain(call, wallClockMs(), line)) return;
      if (!more) {
        reader.rest(wallClockMs(), line);
        return;
      }
      pollfd cancel{call.cancelFd(), POLLIN, 0};
      static_cast<void>(
          ::poll(&cancel, 1, static_cast<int>(call.remaining(std::chrono::milliseconds{50}).count()) + 1));
    }
  }

private:
  using Line = std::pair<std::int64_t, std::string>;

  /// Cuts a file that grows, and may be truncated, into lines.
  class Reader {
  public:
    explicit Reader(int fd) noexcept : fd_(fd) {}

    /// All lines up to the file's end of now; false when `line` said so.
    bool drain(const Call &call, std::int64_t timeMs, const LineFn &line) {
      constexpr std::size_t kMaxLine = 64U * 1024;
      struct stat info {};
      if (::fstat(fd_, &info) == 0 && info.st_size < at_) at_ = 0;
      std::array<char, 16384> space{};
      for (;;) {
        call.throwIfDone();
        const ssize_t count = ::pread(fd_, space.data(), space.size(), at_);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return true;
        at_ += count;
        for (const char c : std::string_view(space.data(), static_cast<std::size_t>(count))) {
          if (c != '\n') partial_ += c;
          if ((c == '\n' || partial_.size() >= kMaxLine) && !give(timeMs, line)) return false;
        }
      }
    }
    /// What stands behind the last line's end.
    bool rest(std::int64_t timeMs, const LineFn &line) { return partial_.empty() || give(timeMs, line); }

  private:
    bool give(std::int64_t timeMs, const LineFn &line) {
      if (!partial_.empty() && partial_.back() == '\r') partial_.pop_back();
      return line(timeMs, std::exchange(partial_, {}));
    }

    int fd_;
    off_t at_ = 0;
    std::string partial_;
  };

  std::string older(int number) const { return path_ + "." + std::to_string(number); }

  static std::int64_t modified(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return 0;
    return static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  }

  static void copyTo(int from, const std::string &target, off_t size) {
    const FileDescriptor to(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    std::array<char, 65536> space{};
    off_t at = 0;
    while (to && at < size) {
      const ssize_t count = ::pread(from, space.data(), space.size(), at);
      if (count <= 0) return;
      const ssize_t written = ::write(to.get(), space.data(), static_cast<std::size_t>(count));
      if (written <= 0) return; // a full disk costs the older lines, not the instance
      at += written;
    }
  }

  std::string path_;
  std::int64_t maxBytes_;
  int maxFiles_;
};

} // namespace v1
} // namespace matrixos
