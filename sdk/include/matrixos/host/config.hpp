/// matrixos/host/config.hpp: the plugin's section of the configuration, abi/host.h mos_host_config_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/host/table.hpp>
#include <matrixos/rate.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// The value of a secret key. Overwritten when it goes, compared in a time that does not depend on what it is, and not
/// printed by accident. Copies are secrets of their own.
class Secret {
public:
  Secret() = default;
  explicit Secret(std::string_view value) : value_(value) {}
  Secret(const Secret &) = default;
  Secret &operator=(const Secret &other) {
    if (this == &other) return *this;
    wipe();
    value_ = other.value_;
    return *this;
  }
  ~Secret() { wipe(); }

  bool empty() const noexcept { return value_.empty(); }
  /// Valid until the object changes.
  std::string_view reveal() const noexcept { return value_; }
  bool equals(std::string_view text) const noexcept {
    if (text.size() != value_.size()) return false;
    unsigned char differs = 0;
    for (std::size_t i = 0; i < text.size(); ++i)
      differs = static_cast<unsigned char>(differs | (text[i] ^ value_[i]));
    return differs == 0;
  }

private:
  void wipe() noexcept {
    // Through volatile, or the compiler leaves out what nobody reads.
    volatile char *at = &value_[0];
    for (std::size_t i = 0; i < value_.size(); ++i)
      at[i] = 0;
    value_.clear();
  }

  std::string value_;
};

/// The plugin's section of the configuration.
class Config {
public:
  explicit Config(const mos_host_config_v1 *table) noexcept : table_(table) {}
  explicit Config(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_config_v1>(host, MOS_HOST_CONFIG_1)) {}

  std::string getString(std::string_view key) const {
    Buffer out;
    check([&](mos_error *e) { return table_->get_string(table_->self, toAbi(key), out.out(), e); });
    return out.str();
  }
  /// Of a key with MOS_KEY_SECRET. Read it anew in reconfigure() where it is MOS_KEY_LIVE, too.
  Secret secret(std::string_view key) const {
    Buffer out;
    check([&](mos_error *e) { return table_->get_string(table_->self, toAbi(key), out.out(), e); });
    return Secret(out.view());
  }
  /// int, bool, duration (milliseconds) and size (bytes) keys.
  std::int64_t getInt(std::string_view key) const {
    std::int64_t out = 0;
    check([&](mos_error *e) { return table_->get_int(table_->self, toAbi(key), &out, e); });
    return out;
  }
  bool getBool(std::string_view key) const { return getInt(key) != 0; }
  std::chrono::milliseconds getDuration(std::string_view key) const { return std::chrono::milliseconds{getInt(key)}; }
  double getNumber(std::string_view key) const {
    double out = 0;
    check([&](mos_error *e) { return table_->get_number(table_->self, toAbi(key), &out, e); });
    return out;
  }
  std::vector<std::string> getList(std::string_view key) const { // list, listen and urls keys
    std::vector<std::string> items;
    SinkOf sink([&](std::string_view item) {
      items.emplace_back(item);
      return true;
    });
    check([&](mos_error *e) { return table_->get_list(table_->self, toAbi(key), sink.abi(), e); });
    sink.rethrow();
    return items;
  }
  Rate getRate(std::string_view key) const {
    const std::vector<std::string> items = getList(key);
    if (items.size() != 2) return {};
    return {static_cast<std::uint32_t>(std::stoul(items[0])), static_cast<std::uint32_t>(std::stoul(items[1]))};
  }

private:
  const mos_host_config_v1 *table_;
};

} // namespace v1
} // namespace matrixos
