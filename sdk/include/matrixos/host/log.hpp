/// matrixos/host/log.hpp: the plugin's log, abi/host.h mos_host_log_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// A field of a log line.
using Field = std::pair<std::string_view, std::string>;

/// The plugin's log. Never throws.
class Log {
public:
  explicit Log(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_log_v1>(host, MOS_HOST_LOG_1)) {}

  void error(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_ERROR, text, fields);
  }
  void warning(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_WARNING, text, fields);
  }
  void info(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_INFO, text, fields);
  }
  void debug(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    if (table_->enabled(table_->self, MOS_LOG_DEBUG) != 0) write(MOS_LOG_DEBUG, text, fields);
  }
  bool enabled(std::uint32_t level) const noexcept { return table_->enabled(table_->self, level) != 0; }

private:
  static constexpr std::size_t kMaxFields = 16;

  void write(std::uint32_t level, std::string_view text, std::initializer_list<Field> fields) const noexcept {
    mos_pair pairs[kMaxFields];
    std::uint32_t count = 0;
    for (const Field &field : fields) {
      if (count == kMaxFields) break;
      pairs[count++] = mos_pair{toAbi(field.first), toAbi(field.second)};
    }
    table_->write(table_->self, level, toAbi(text), pairs, count);
  }

  const mos_host_log_v1 *table_;
};

} // namespace v1
} // namespace matrixos
