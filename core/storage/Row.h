/// What comes out of the database.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/status.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace matrixos::storage {

/// One value of a row. Text and blobs are borrowed until the row callback returns.
struct Column {
  /// MOS_SQL_NULL, MOS_SQL_INT, MOS_SQL_REAL, MOS_SQL_TEXT or MOS_SQL_BLOB.
  std::uint32_t type = MOS_SQL_NULL;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
};

/// One row of an answer, borrowed for the callback. The accessors throw Error(Internal) for a column that is not there
/// or has another type, which is a mistake in the program's SQL.
class Row {
public:
  explicit Row(std::span<const Column> columns) noexcept : columns_(columns) {}

  std::size_t size() const noexcept { return columns_.size(); }
  const Column &operator[](std::size_t index) const {
    if (index >= columns_.size()) throw Error(Status::Internal, "the row has no column " + std::to_string(index));
    return columns_[index];
  }
  bool isNull(std::size_t index) const { return (*this)[index].type == MOS_SQL_NULL; }
  std::int64_t integer(std::size_t index) const { return typed(index, MOS_SQL_INT, "a whole number").integer; }
  double real(std::size_t index) const {
    const Column &column = (*this)[index];
    return column.type == MOS_SQL_INT ? static_cast<double>(column.integer)
                                      : typed(index, MOS_SQL_REAL, "a number").real;
  }
  std::string_view text(std::size_t index) const { return typed(index, MOS_SQL_TEXT, "text").text; }
  std::string_view blob(std::size_t index) const { return typed(index, MOS_SQL_BLOB, "a blob").text; }
  /// A copy of the text; "" for NULL.
  std::string textOr(std::size_t index, std::string_view fallback = {}) const {
    return std::string(isNull(index) ? fallback : text(index));
  }

private:
  const Column &typed(std::size_t index, std::uint32_t type, const char *what) const {
    const Column &column = (*this)[index];
    if (column.type != type) {
      throw Error(Status::Internal, "column " + std::to_string(index) + " of the row is not " + what);
    }
    return column;
  }

  std::span<const Column> columns_;
};

/// Receives rows; false ends the query.
using RowFn = std::function<bool(const Row &row)>;

} // namespace matrixos::storage
