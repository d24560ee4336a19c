#include "storage/WalFile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

namespace matrixos::storage {

namespace {

constexpr std::size_t kHeaderCopy = 48; ///< of the index, which begins with two equal ones
constexpr std::size_t kLogHeader = 32;
constexpr std::size_t kFrameHeader = 24;

using Bytes = std::array<unsigned char, 2 * kHeaderCopy>;

/// Nothing while somebody writes it.
std::optional<Bytes> readIndex(int fd) {
  Bytes bytes{};
  if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return std::nullopt;
  if (std::memcmp(bytes.data(), bytes.data() + kHeaderCopy, kHeaderCopy) != 0) return std::nullopt;
  return bytes;
}

/// A number in the byte order of the machine, as the index has them.
template <typename Number>
Number numberAt(const Bytes &bytes, std::size_t at) {
  Number number{};
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

/// The log holds so many frames of so many bytes, and its header is the one that the index was made from.
bool holds(const std::filesystem::path &log, const Bytes &index) {
  constexpr std::size_t kPageSize = 14, kFrames = 16, kSalts = 32, kSaltsInLog = 16, kSaltBytes = 8;
  const std::uint64_t frames = numberAt<std::uint32_t>(index, kFrames);
  if (frames == 0) return true;
  const std::uint64_t shortPage = numberAt<std::uint16_t>(index, kPageSize);
  const std::uint64_t page = shortPage == 1 ? 65536 : shortPage;
  const FileDescriptor fd(::open(log.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return true; // that it is gone is for others to tell
  if (static_cast<std::uint64_t>(info.st_size) < kLogHeader + frames * (kFrameHeader + page)) return false;
  std::array<unsigned char, kLogHeader> header{};
  return ::pread(fd.get(), header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()) &&
         std::memcmp(header.data() + kSaltsInLog, index.data() + kSalts, kSaltBytes) == 0;
}

} // namespace

WalFile::WalFile(const std::filesystem::path &database, std::filesystem::path log)
    : index_(database.string() + "-shm"), log_(std::move(log)) {}

bool WalFile::isWhole() {
  if (!open_) open_.reset(::open(index_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!open_) return true;
  // Between the look at the index and the one at the log a checkpoint may have begun a new log: then the index is
  // another one, too.
  for (int tries = 0; tries < 10; ++tries) {
    const auto before = readIndex(open_.get());
    if (!before) continue;
    if (holds(log_, *before)) return true;
    if (readIndex(open_.get()) == before) return false;
  }
  return true;
}

} // namespace matrixos::storage
