#pragma once

#include <matrixos/status.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::simulated {

/// Appends numbers (7 bits a byte, the lowest first) and texts to a record.
class ByteWriter {
public:
  ByteWriter &number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U)
      out_ += static_cast<char>((value & 0x7fU) | 0x80U);
    out_ += static_cast<char>(value);
    return *this;
  }
  ByteWriter &number(std::int64_t value) { return number(static_cast<std::uint64_t>(value)); }
  ByteWriter &number(std::uint32_t value) { return number(static_cast<std::uint64_t>(value)); }
  ByteWriter &number(int value) { return number(static_cast<std::uint64_t>(value)); }
  ByteWriter &text(std::string_view value) {
    number(static_cast<std::uint64_t>(value.size()));
    out_ += value;
    return *this;
  }
  const std::string &str() const &noexcept { return out_; }
  std::string str() &&noexcept { return std::move(out_); }

private:
  std::string out_;
};

/// Reads what ByteWriter wrote. Throws Error(DataLoss) at the end of the bytes or on a number that does not fit.
class ByteReader {
public:
  explicit ByteReader(std::string_view bytes) noexcept : left_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (left_.empty()) break;
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80) return value;
    }
    throw Error(Status::DataLoss, "a record ends in the middle of a number", "BAD_RECORD");
  }
  template <typename Number>
  Number as() {
    return static_cast<Number>(number());
  }
  std::string_view text() {
    const std::uint64_t size = number();
    if (size > left_.size()) throw Error(Status::DataLoss, "a record ends in the middle of a text", "BAD_RECORD");
    const std::string_view value = left_.substr(0, size);
    left_.remove_prefix(size);
    return value;
  }
  bool atEnd() const noexcept { return left_.empty(); }

private:
  std::string_view left_;
};

} // namespace matrixos::simulated
