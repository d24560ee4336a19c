/// http/engine/Buffer.h: blocks of one size, held only while bytes are in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {

/// Empties a text and gives its memory back: libstdc++ keeps it when an empty one is assigned.
inline void release(std::string &text) noexcept {
  std::string().swap(text);
}

/// Blocks that were given back, of one loop.
class BlockPool {
public:
  explicit BlockPool(std::size_t blockSize) : blockSize_(blockSize) {}

  std::size_t blockSize() const noexcept { return blockSize_; }
  std::unique_ptr<char[]> take() {
    if (free_.empty()) return std::unique_ptr<char[]>(new char[blockSize_]);
    auto block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  void give(std::unique_ptr<char[]> block) {
    if (free_.size() < kKept) free_.push_back(std::move(block));
  }

private:
  static constexpr std::size_t kKept = 128;
  std::size_t blockSize_;
  std::vector<std::unique_ptr<char[]>> free_;
};

/// A window of unread bytes in one block: [kept head][unread][free]. What lies before the base is kept in place, so
/// that spans into a parsed head stay valid while the body behind it passes through.
class Buffer {
public:
  explicit Buffer(BlockPool &pool) noexcept : pool_(pool) {}
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  /// Takes the block over; bytes in it stay where they are.
  Buffer(Buffer &&from) noexcept
      : pool_(from.pool_), block_(std::move(from.block_)), base_(std::exchange(from.base_, 0)),
        begin_(std::exchange(from.begin_, 0)), end_(std::exchange(from.end_, 0)) {}
  ~Buffer() { drop(); }

  char *data() noexcept { return block_.get() + begin_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  bool empty() const noexcept { return begin_ == end_; }
  std::string_view view() const noexcept {
    return block_ ? std::string_view(block_.get() + begin_, size()) : std::string_view{};
  }

  /// Makes room; the block is taken from the pool now.
  void prepare() {
    if (!block_) block_ = pool_.take();
    if (empty())
      begin_ = end_ = base_;
    else if (space() == 0)
      compact();
  }
  char *writePointer() noexcept { return block_.get() + end_; }
  std::size_t space() const noexcept { return block_ ? pool_.blockSize() - end_ : pool_.blockSize() - base_; }
  void filled(std::size_t bytes) noexcept { end_ += static_cast<std::uint32_t>(bytes); }

  void consume(std::size_t bytes) noexcept { begin_ += static_cast<std::uint32_t>(bytes); }
  /// Consumes bytes and keeps them, and all before them, where they are until unkeep().
  void keep(std::size_t bytes) noexcept {
    consume(bytes);
    base_ = begin_;
  }
  void unkeep() noexcept { base_ = 0; }
  /// Moves the unread bytes to the start of the block, unless something is kept there.
  void compact() noexcept {
    if (base_ != 0 || begin_ == 0) return;
    std::memmove(block_.get(), block_.get() + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
  /// Gives the block back if nothing is in it.
  void releaseIfEmpty() {
    if (empty() && base_ == 0) drop();
  }
  void drop() {
    if (block_) pool_.give(std::move(block_));
    base_ = begin_ = end_ = 0;
  }

private:
  BlockPool &pool_;
  std::unique_ptr<char[]> block_;
  // Every connection has one or two: a block has less than 4 GB.
  std::uint32_t base_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

} // namespace matrixos::http
