#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::simulated {

/// A file of records that outlives the process, kill -9 included: each record is one write(), and a last one that was
/// cut short is dropped at the next start. Never synced, so power loss may take the newest records: what it simulates
/// is lost then as well. Used by one thread at a time.
class Journal {
public:
  using Record = std::function<void(std::string_view)>;

  /// Keeps nothing until it is opened.
  Journal() = default;
  ~Journal();
  Journal(const Journal &) = delete;
  Journal &operator=(const Journal &) = delete;

  /// Opens or makes `directory`/journal, for this process alone, and gives each whole record to `replay`. Throws
  /// Error(FailedPrecondition) when another process has it or it is no such file. Once.
  void open(const std::filesystem::path &directory, const Record &replay);
  bool kept() const noexcept { return fd_ >= 0; }
  /// All of the records or, with Error(ResourceExhausted) when the disk is full, none.
  void append(const std::vector<std::string> &records);
  /// True when the file has grown to several times what it was after the last rewrite().
  bool isLong() const noexcept { return kept() && size_ > 4 * base_ + kSpare; }
  /// Puts the records that `write` is called with in place of all there are, at once.
  void rewrite(const std::function<void(const Record &write)> &records);

  std::uint64_t bytes() const noexcept { return size_; }

private:
  static constexpr std::uint64_t kSpare = std::uint64_t{16} << 20U;

  void load(const Record &replay);

  std::filesystem::path path_;
  int lock_ = -1;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t base_ = 0;
  std::string frame_; ///< kept for its capacity
};

} // namespace matrixos::simulated
