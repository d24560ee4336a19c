/// What goes into SQL statements and what comes out of them.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/status.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace matrixos::storage {

/// Bytes that are no text.
struct Blob {
  std::string bytes;
};

/// A bound parameter. Owns its text.
struct Value {
  std::variant<std::nullptr_t, std::int64_t, double, std::string, Blob> data;

  Value(std::nullptr_t = nullptr) : data(nullptr) {}
  template <std::integral Number>
  Value(Number number) : data(static_cast<std::int64_t>(number)) {}
  Value(double number) : data(number) {}
  Value(std::string text) : data(std::move(text)) {}
  Value(std::string_view text) : data(std::string(text)) {}
  Value(const char *text) : data(std::string(text)) {}
  Value(Blob blob) : data(std::move(blob)) {}
  /// NULL when there is nothing in it.
  template <typename Inner>
  Value(std::optional<Inner> maybe) : Value(maybe ? Value(*std::move(maybe)) : Value(nullptr)) {}
};

using Params = std::vector<Value>;

/// Accept whatever the statement changes.
constexpr std::int64_t kAnyRows = MOS_SQL_ANY_ROWS;

/// One statement of a batch, with `?` parameters.
struct Statement {
  std::string sql;
  Params params;
  /// Rows it has to change, else the whole batch is undone.
  std::int64_t expectedRows = kAnyRows;
};

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

/// One schema step. Applied steps are never edited: their text is checked against what was applied.
struct Migration {
  std::uint32_t version = 0; ///< 1, 2, 3, … without gaps
  std::string name;
  std::string sql; ///< one or more statements, separated by ;
};

} // namespace matrixos::storage
