/// What goes into the database: parameters, statements, schema steps.
#pragma once

#include <matrixos/abi/host.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
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
struct SqlValue {
  std::variant<std::nullptr_t, std::int64_t, double, std::string, Blob> data;

  SqlValue(std::nullptr_t = nullptr) : data(nullptr) {}
  template <std::integral Number>
  SqlValue(Number number) : data(static_cast<std::int64_t>(number)) {}
  SqlValue(double number) : data(number) {}
  SqlValue(std::string text) : data(std::move(text)) {}
  SqlValue(std::string_view text) : data(std::string(text)) {}
  SqlValue(const char *text) : data(std::string(text)) {}
  SqlValue(Blob blob) : data(std::move(blob)) {}
  /// NULL when there is nothing in it.
  template <typename Inner>
  SqlValue(std::optional<Inner> maybe) : SqlValue(maybe ? SqlValue(*std::move(maybe)) : SqlValue(nullptr)) {}
};

using Params = std::vector<SqlValue>;

/// Accept whatever the statement changes.
constexpr std::int64_t kAnyRows = MOS_SQL_ANY_ROWS;

/// One statement of a batch, with `?` parameters.
struct Statement {
  std::string sql;
  Params params;
  /// Rows it has to change, else the whole batch is undone.
  std::int64_t expectedRows = kAnyRows;
  /// The platform's own, on its own tables, in the batch of somebody else.
  bool isCore = false;
};

/// One schema step. Applied steps are never edited: their text is checked against what was applied.
struct Migration {
  std::uint32_t version = 0; ///< 1, 2, 3, … without gaps
  std::string name;
  std::string sql; ///< one or more statements, separated by ;
};

} // namespace matrixos::storage
