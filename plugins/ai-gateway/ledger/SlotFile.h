#pragma once

#include "Record.h"

#include <matrixos/file_descriptor.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::gateway {

/// The calls in flight, on disk: a file of slots, each for one Record with its checksum. What was written there
/// survives the process, however that ends; after a power cut what sync() was called for. The disk's space is taken
/// when the file grows, so that a slot can be written on a full disk. A slot is of one thread at a time; other slots
/// may be written meanwhile.
class SlotFile {
public:
  struct Content {
    std::vector<std::pair<std::uint32_t, Record>> calls;
    std::vector<std::uint32_t> damaged; ///< slots with something that cannot be read
    std::string movedTo;                ///< where a file went that was none of ours; empty: there was none
  };

  explicit SlotFile(std::filesystem::path file) : path_(std::move(file)) {}

  /// Opens it, or makes it with its folder, and says what is in it. Throws Error(ResourceExhausted) when the disk is
  /// full, else Error(Unavailable).
  Content open();
  /// A number above `least` and above all that were given before, on the disk when it returns. Throws as open().
  std::uint64_t beginRun(std::uint64_t least);

  std::uint32_t size() const noexcept { return size_; }
  /// Adds slots. Of one thread at a time; others may write meanwhile. 0, or the error's number.
  int grow(std::uint32_t slots) noexcept;
  /// 0, or the error's number; then nobody knows what the slot has.
  int write(std::uint32_t slot, const Record &record) noexcept;
  int clear(std::uint32_t slot) noexcept;
  /// Waits for the disk.
  int sync() noexcept;

  const std::filesystem::path &path() const noexcept { return path_; }

private:
  void make();
  bool readHeader();
  int writeHeader() noexcept;
  [[noreturn]] void fail(const char *what, int code) const;

  const std::filesystem::path path_;
  FileDescriptor file_;
  std::uint32_t size_ = 0;
  std::uint64_t run_ = 0;
};

} // namespace matrixos::gateway
