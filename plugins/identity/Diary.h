#pragma once

#include "DeviceFlow.h"
#include "User.h"

#include <matrixos/audit.hpp>
#include <matrixos/host.hpp>

#include <string_view>

namespace matrixos::identity {

/// Tells the audit logs what the API cannot: who signed in or out, and who was refused. Blocks; any thread.
class Diary {
public:
  explicit Diary(const mos_host_v1 *host) : logs_(host), log_(host) {}

  /// Waits until it is kept. `way`: a mode, or "program".
  void signedIn(const Exchange &exchange, const User &user, std::string_view way) const;
  /// The same. `userId`: whom the provider named; empty where it came to no name.
  void refused(const Exchange &exchange, std::string_view userId, std::string_view way, const Error &why) const;
  /// The same: somebody let a program in, or did not.
  void decided(const Exchange &exchange, const User &user, const DeviceFlow::Asking &program, bool isLetIn) const;
  void signedOut(const Exchange &exchange, const User &user) const;

private:
  void keep(std::string_view event) const;

  const AuditLogs logs_;
  const Log log_;
};

} // namespace matrixos::identity
