#include "plugin/AbandonedCalls.h"

#include "plugin/PluginFaults.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

namespace matrixos::plugin {

mos_status AbandonedCalls::refuse(mos_error *error) const {
  return fail(error, Status::Unavailable,
              "the plugin " + plugin_ + " is not called any more: " + reason() +
                  "; it is called again once one of them returns, or after matrixosctl plugins reload " + plugin_,
              "PLUGIN_HANGS", 5000);
}

void AbandonedCalls::gaveUp(const char *function, const std::string &why) {
  int count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = count_.fetch_add(1, std::memory_order_acq_rel) + 1;
    if (count == 1) sinceNs_ = monotonicNanos();
    last_ = function;
  }
  PluginFaults::instance().report(plugin_, PluginFault::Abandoned,
                                  std::string(function) + " " + why + " and was given up with its thread (" +
                                      std::to_string(count) + " of the " + std::to_string(kMost) +
                                      " with which the plugin is not called any more)");
}

void AbandonedCalls::returned(const char *function) {
  {
    const std::lock_guard lock(mutex_);
    count_.fetch_sub(1, std::memory_order_acq_rel);
  }
  PluginFaults::instance().report(plugin_, PluginFault::Stray,
                                  std::string(function) +
                                      " returned after it had been given up; its answer was dropped");
}

std::string AbandonedCalls::reason() const {
  const std::lock_guard lock(mutex_);
  const int count = count_.load(std::memory_order_acquire);
  if (count <= 0) return {}; // below while a call returns at the very moment it is given up
  const std::int64_t seconds = (monotonicNanos() - sinceNs_) / 1'000'000'000;
  const std::string calls = count == 1 ? "1 call into it hangs" : std::to_string(count) + " calls into it hang";
  return calls + " since " + std::to_string(seconds) + " s, the last one " + last_;
}

} // namespace matrixos::plugin
