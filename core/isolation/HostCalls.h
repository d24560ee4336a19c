#pragma once

#include "isolation/Arguments.h"
#include "isolation/ServedCall.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <vector>

namespace matrixos::isolation {

/// What a plugin's process asks of its host with a Use of this slot, since it takes time or gives items.
constexpr std::uint16_t kHostSlot = 0xFFFF;
enum class HostFunction : std::uint8_t {
  /// texts: URL, method, body, file of authorities, headers (HeadFields); numbers: flags, redirects, longest body,
  /// timeout, silence. Items: "h" and HeadFields once, then "b" and bytes.
  Fetch = kFirstOfService,
  OutboxPut,     ///< texts: OutboxFields
  OutboxBegin,   ///< from now on the daemon calls kDeliver
  OutboxEnd,     ///< and no more
  OutboxList,    ///< numbers: 1 for parked ones alone. Items: JSON of each
  OutboxRetry,   ///< texts: target, id; a number is answered
  OutboxDiscard, ///< likewise
};

/// The head of a request or an answer, inside of a text or an item.
struct HeadFields {
  static constexpr FrameType kType = FrameType::UseItem;
  std::uint32_t status = 0;
  std::vector<Pair> headers;
  static void fields(auto &f, auto &a) {
    a(f.status), a(f.headers, kMaxEntries, [](auto &p, auto &to) { to(p.first, kMaxWord), to(p.second, kMaxItem); });
  }
};

/// Items for the outbox, inside of a text.
struct OutboxFields {
  static constexpr FrameType kType = FrameType::Use;
  struct Item {
    std::string_view target, id, payload;
  };
  std::vector<Item> items;
  static void fields(auto &f, auto &a) {
    a(f.items, kMaxEntries,
      [](auto &item, auto &to) { to(item.target, kMaxWord), to(item.id, kMaxWord), to(item.payload, kMaxItem); });
  }
};

/// The bytes of such fields, for decode().
std::string encodeFields(const auto &fields) {
  return encode(fields).substr(kHeaderSize);
}

/// Does that, in the daemon. Thread-safe.
class HostCalls {
public:
  /// Calls the plugin's process; as CallTable::run.
  using CallPlugin = std::function<mos_status(const CallRequest &, const mos_call *, mos_error *)>;

  HostCalls(const mos_host_v1 *host, CallPlugin callPlugin);

  mos_status run(const ServedCall &call, const Answers &answers);
  /// What its function gives comes at once, and must not wait for who takes it.
  static bool gathers(const ServedCall &call) noexcept {
    return call.function == static_cast<std::uint8_t>(HostFunction::OutboxList);
  }
  /// Another process begins anew to deliver what the host may go on with. The calls of the one before it have been
  /// cancelled. At once.
  void newProcess() noexcept { delivering_ = false; }

private:
  mos_status fetch(const ServedCall &call, const Answers &answers) const;
  mos_status begin(const ServedCall &call, mos_error *error);
  mos_status end(const ServedCall &call, mos_error *error);
  static std::int32_t deliver(void *self, const mos_call *call, const mos_outbox_delivery *delivery, mos_error *error);

  const CallPlugin callPlugin_;
  const mos_host_fetch_v1 *const fetch_;   ///< null where the host has none
  const mos_host_outbox_v1 *const outbox_; ///< the same
  std::mutex turn_;                        ///< one begin or end at a time, while the host is asked
  bool begun_ = false;                     ///< the host delivers; under turn_
  std::atomic<bool> delivering_{false};    ///< the process wants it
};

} // namespace matrixos::isolation
