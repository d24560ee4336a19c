#include "SlotFile.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <Poco/Checksum.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace matrixos::gateway {

namespace {

constexpr std::uint32_t kSlotMark = 0x314C534DU;         // "MSL1"
constexpr std::uint64_t kFileMark = 0x31544F4C53584F4DU; // "MOXSLOT1"

struct Slot {
  std::uint32_t mark = 0; ///< 0: free
  std::uint32_t checksum = 0;
  Record record;
};
static_assert(sizeof(Slot) == 256);

/// Stands in place of the first slot.
struct Header {
  std::uint64_t mark = kFileMark;
  std::uint64_t run = 0;
  std::uint32_t checksum = 0;
  std::array<char, 236> rest{};
};
static_assert(sizeof(Header) == sizeof(Slot));

std::uint32_t checksumOf(const void *bytes, std::size_t size) {
  Poco::Checksum checksum(Poco::Checksum::TYPE_CRC32);
  checksum.update(static_cast<const char *>(bytes), static_cast<unsigned>(size));
  return checksum.checksum();
}

bool isSound(const Slot &slot) {
  const Record &record = slot.record;
  return slot.mark == kSlotMark && slot.checksum == checksumOf(&record, sizeof record) && record.instance.valid() &&
         record.handle.valid() && record.model.valid() && record.session.valid() &&
         (record.state == Record::State::Reserved || record.state == Record::State::Settled);
}

off_t offsetOf(std::uint64_t slot) {
  return static_cast<off_t>((slot + 1) * sizeof(Slot));
}

int writeAt(int file, const void *bytes, std::size_t size, off_t at) noexcept {
  for (;;) {
    const ssize_t count = ::pwrite(file, bytes, size, at);
    if (count == static_cast<ssize_t>(size)) return 0;
    if (count >= 0) return ENOSPC;
    if (errno != EINTR) return errno;
  }
}

bool readAt(int file, void *bytes, std::size_t size, off_t at) noexcept {
  ssize_t count = 0;
  do {
    count = ::pread(file, bytes, size, at);
  } while (count < 0 && errno == EINTR);
  return count == static_cast<ssize_t>(size);
}

} // namespace

void SlotFile::fail(const char *what, int code) const {
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(full ? Status::ResourceExhausted : Status::Unavailable,
              std::string(what) + " " + path_.string() + ": " + std::generic_category().message(code), "GATEWAY_SLOTS");
}

SlotFile::Content SlotFile::open() {
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);
  if (error) fail("cannot make the folder of", error.value());
  Content content;
  file_.reset(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file_ && errno != ENOENT) fail("cannot open", errno);
  if (file_ && !readHeader()) {
    content.movedTo = path_.string() + ".damaged-" + formatTimeSeconds(wallClockMs());
    if (::rename(path_.c_str(), content.movedTo.c_str()) != 0) fail("cannot move aside", errno);
    file_.reset();
  }
  if (!file_) {
    make();
    return content;
  }
  for (std::uint32_t at = 0; at < size_; ++at) {
    Slot slot;
    if (!readAt(file_.get(), &slot, sizeof slot, offsetOf(at))) fail("cannot read", EIO);
    if (slot.mark == 0 && slot.checksum == 0) continue;
    if (isSound(slot))
      content.calls.emplace_back(at, slot.record);
    else
      content.damaged.push_back(at);
  }
  return content;
}

void SlotFile::make() {
  file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_) fail("cannot make", errno);
  size_ = 0;
  run_ = 0;
  if (const int code = writeHeader()) fail("cannot write", code);
  const FileDescriptor folder(::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) fail("cannot sync the folder of", errno);
}

bool SlotFile::readHeader() {
  struct stat status {};
  Header header;
  if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      !readAt(file_.get(), &header, sizeof header, 0) || header.mark != kFileMark ||
      header.checksum != checksumOf(&header.run, sizeof header.run))
    return false;
  run_ = header.run;
  size_ = static_cast<std::uint32_t>(static_cast<std::uint64_t>(status.st_size) / sizeof(Slot) - 1);
  return true;
}

int SlotFile::writeHeader() noexcept {
  Header header;
  header.run = run_;
  header.checksum = checksumOf(&header.run, sizeof header.run);
  if (const int code = writeAt(file_.get(), &header, sizeof header, 0)) return code;
  return sync();
}

std::uint64_t SlotFile::beginRun(std::uint64_t least) {
  run_ = std::max(run_, least) + 1;
  if (const int code = writeHeader()) fail("cannot write", code);
  return run_;
}

int SlotFile::grow(std::uint32_t slots) noexcept {
  // Not ftruncate(): the space has to be there.
  if (const int code =
          ::posix_fallocate(file_.get(), offsetOf(size_), static_cast<off_t>(std::size_t{slots} * sizeof(Slot))))
    return code;
  size_ += slots;
  return 0;
}

int SlotFile::write(std::uint32_t slot, const Record &record) noexcept {
  const Slot content{kSlotMark, checksumOf(&record, sizeof record), record};
  return writeAt(file_.get(), &content, sizeof content, offsetOf(slot));
}

int SlotFile::clear(std::uint32_t slot) noexcept {
  const std::array<char, offsetof(Slot, record)> none{};
  return writeAt(file_.get(), none.data(), none.size(), offsetOf(slot));
}

int SlotFile::sync() noexcept {
  return ::fdatasync(file_.get()) == 0 ? 0 : errno;
}

} // namespace matrixos::gateway
