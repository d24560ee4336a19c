/// matrixos/host/kv.hpp: small values by key, abi/host.h mos_host_kv_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// The plugin's own keys and values, kept in the platform's database.
class KeyValueStore {
public:
  explicit KeyValueStore(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_kv_v1>(host, MOS_HOST_KV_1)) {}

  struct Value {
    std::string bytes;
    std::int64_t version = 0;
  };

  /// Nothing when there is no such key.
  std::optional<Value> get(std::string_view key) const {
    Buffer buffer;
    mos_error error{};
    std::int64_t version = 0;
    const mos_status status = table_->get(table_->self, toAbi(key), buffer.out(), &version, &error);
    if (status == MOS_NOT_FOUND) return std::nullopt;
    if (status != MOS_OK) throw toError(status, error);
    return Value{buffer.str(), version};
  }

  /// Gives the key's new version. Throws Error(Aborted) when its version is not the expected one.
  std::int64_t put(std::string_view key, std::string_view value, std::int64_t expected = MOS_KV_ANY) const {
    std::int64_t version = 0;
    check([&](mos_error *e) { return table_->put(table_->self, toAbi(key), toAbi(value), expected, &version, e); });
    return version;
  }

  void remove(std::string_view key, std::int64_t expected = MOS_KV_ANY) const {
    check([&](mos_error *e) { return table_->remove(table_->self, toAbi(key), expected, e); });
  }

  /// Receives an entry, borrowed for the call; false ends the list.
  using EntryFn = std::function<bool(std::string_view key, std::string_view value, std::int64_t version)>;

  /// Calls `entry` for each key that begins with the prefix, in their order. What it throws ends the list and is thrown
  /// on.
  void list(std::string_view prefix, const EntryFn &entry) const {
    struct Context {
      const EntryFn *entry;
      std::exception_ptr failure;
    } context{&entry, nullptr};
    const mos_kv_entries entries{&context, [](void *ctx, const mos_kv_entry *found) -> std::int32_t {
                                   auto *self = static_cast<Context *>(ctx);
                                   try {
                                     const bool goOn =
                                         (*self->entry)(fromAbi(found->key), fromAbi(found->value), found->version);
                                     return goOn ? MOS_SINK_CONTINUE : MOS_SINK_STOP;
                                   } catch (...) {
                                     self->failure = std::current_exception();
                                     return MOS_SINK_STOP;
                                   }
                                 }};
    check([&](mos_error *e) { return table_->list(table_->self, toAbi(prefix), entries, e); });
    if (context.failure) std::rethrow_exception(context.failure);
  }

private:
  const mos_host_kv_v1 *table_;
};

} // namespace v1
} // namespace matrixos
