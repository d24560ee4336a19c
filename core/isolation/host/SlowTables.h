#pragma once

#include "isolation/ServedCall.h"
#include "isolation/host/NeededProxies.h"

#include <matrixos/abi/host.h>

#include <mutex>

namespace matrixos::isolation::host {

/// The interfaces of the host that take time, or give items: fetch and outbox, as the plugin sees them in its own
/// process. The daemon does it all, and calls back to deliver.
class SlowTables {
public:
  explicit SlowTables(NeededProxies &daemon);
  SlowTables(const SlowTables &) = delete;
  SlowTables &operator=(const SlowTables &) = delete;

  const mos_host_fetch_v1 *fetch() const noexcept { return &fetch_; }
  const mos_host_outbox_v1 *outbox() const noexcept { return &outbox_; }

  /// One attempt for the daemon (kDeliver): the verdict, or a failure, which is one that shall be made again.
  mos_status deliver(const ServedCall &call, std::uint64_t &verdict, mos_error *error);

private:
  static SlowTables &of(void *self) noexcept { return *static_cast<SlowTables *>(self); }
  mos_status fetchIt(const mos_call *call, const mos_fetch_request &request, const mos_fetch_sink &sink,
                     mos_error *error);
  mos_status put(const mos_outbox_item *items, std::uint32_t count, std::uint32_t statements, mos_error *error);
  mos_status begin(mos_outbox_deliver_fn function, void *ctx, mos_error *error);
  mos_status changeParked(HostFunction function, mos_str target, mos_str id, std::int64_t *count, mos_error *error);

  NeededProxies &daemon_;
  std::mutex mutex_; ///< the next two
  mos_outbox_deliver_fn deliver_ = nullptr;
  void *deliverCtx_ = nullptr;
  mos_host_fetch_v1 fetch_{};
  mos_host_outbox_v1 outbox_{};
};

} // namespace matrixos::isolation::host
