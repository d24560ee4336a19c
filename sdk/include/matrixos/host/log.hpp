/// matrixos/host/log.hpp: the plugin's log, abi/host.h mos_host_log_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// The value of a field as text.
inline std::string fieldText(const mos_field &field) {
  if (field.type == MOS_FIELD_INT) return std::to_string(field.integer);
  if (field.type == MOS_FIELD_REAL) return std::to_string(field.real);
  if (field.type == MOS_FIELD_BOOL) return field.integer != 0 ? "true" : "false";
  return std::string(fromAbi(field.text));
}

/// A field of a log line: a name, which is borrowed, and a text, a number or a boolean.
class Field {
public:
  Field(std::string_view key, std::string text) : key_(key), text_(std::move(text)) {}
  Field(std::string_view key, std::string_view text) : key_(key), text_(text) {}
  Field(std::string_view key, const char *text) : key_(key), text_(text) {}
  Field(std::string_view key, double value) : key_(key), type_(MOS_FIELD_REAL), real_(value) {}
  /// Also booleans.
  template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
  Field(std::string_view key, Integer value)
      : key_(key), type_(std::is_same_v<Integer, bool> ? MOS_FIELD_BOOL : MOS_FIELD_INT), integer_(fitted(value)) {}

  /// Borrows from this field.
  mos_field toAbi() const noexcept { return {v1::toAbi(key_), v1::toAbi(text_), integer_, real_, type_, 0}; }

private:
  /// Nothing that is counted comes near the limit; if it ever does, too small beats negative.
  template <typename Integer>
  static std::int64_t fitted(Integer value) noexcept {
    if constexpr (std::is_unsigned_v<Integer> && sizeof(Integer) == 8) {
      constexpr auto kMost = static_cast<Integer>(std::numeric_limits<std::int64_t>::max());
      return static_cast<std::int64_t>(value < kMost ? value : kMost);
    } else {
      return static_cast<std::int64_t>(value);
    }
  }

  std::string_view key_;
  std::string text_;
  std::uint32_t type_ = MOS_FIELD_TEXT;
  std::int64_t integer_ = 0;
  double real_ = 0;
};

/// The plugin's log. Never throws.
class Log {
public:
  explicit Log(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_log_v1>(host, MOS_HOST_LOG_1)) {}

  void error(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_ERROR, text, fields.begin(), fields.size());
  }
  void warning(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_WARNING, text, fields.begin(), fields.size());
  }
  void info(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_INFO, text, fields.begin(), fields.size());
  }
  void debug(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    if (table_->enabled(table_->self, MOS_LOG_DEBUG) != 0) write(MOS_LOG_DEBUG, text, fields.begin(), fields.size());
  }
  /// The first 16 fields are written.
  void write(std::uint32_t level, std::string_view text, const Field *fields, std::size_t count) const noexcept {
    const std::size_t kept = count < kMaxFields ? count : kMaxFields;
    if (!MOS_HAS(table_, mos_host_log_v1, write_fields)) return writeTexts(level, text, fields, kept);
    mos_field list[kMaxFields];
    for (std::size_t i = 0; i < kept; ++i)
      list[i] = fields[i].toAbi();
    table_->write_fields(table_->self, level, toAbi(text), list, static_cast<std::uint32_t>(kept));
  }
  bool enabled(std::uint32_t level) const noexcept { return table_->enabled(table_->self, level) != 0; }

private:
  static constexpr std::size_t kMaxFields = 16;

  /// A host of minor 0.
  void writeTexts(std::uint32_t level, std::string_view text, const Field *fields, std::size_t count) const noexcept {
    try {
      std::string texts[kMaxFields];
      mos_pair pairs[kMaxFields];
      for (std::size_t i = 0; i < count; ++i) {
        const mos_field field = fields[i].toAbi();
        texts[i] = fieldText(field);
        pairs[i] = {field.key, toAbi(texts[i])};
      }
      table_->write(table_->self, level, toAbi(text), pairs, static_cast<std::uint32_t>(count));
    } catch (...) {
      // Out of memory: a line less is better than an exception in a place that only wanted to log.
    }
  }

  const mos_host_log_v1 *table_;
};

} // namespace v1
} // namespace matrixos
