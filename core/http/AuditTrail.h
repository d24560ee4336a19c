#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace matrixos::api {

/// Whoever keeps what people did, abi/audit.h. Called on the API's loop: nothing of it blocks or throws.
class AuditTrail {
public:
  virtual ~AuditTrail() = default;
  /// False: nobody keeps anything, and nothing else is called.
  virtual bool isOn() const noexcept = 0;
  /// The status of an instance at this moment; "" when there is none, or when it is not known.
  virtual std::string statusOf(std::string_view handle) noexcept = 0;
  /// `event`: JSON, abi/audit.h. `then` is called exactly once, on any thread, perhaps before this returns: when the
  /// event is kept, cannot be kept, or has taken too long.
  virtual void record(const std::string &event, std::function<void()> then) noexcept = 0;
  /// Nobody waits for it.
  virtual void note(const std::string &event) noexcept = 0;
};

} // namespace matrixos::api
