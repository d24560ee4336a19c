/// /signups over HTTP, for operators.
#pragma once

#include "Provisioner.h"

#include <matrixos/host.hpp>

#include <memory>

namespace matrixos::signup {

/// Who signed up and what became of it. Keep it alive until the plugin is destroyed.
class SignupRoutes {
public:
  SignupRoutes(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner)
      : routes_(host), provisioner_(std::move(provisioner)) {}

  /// Registers the routes with the host.
  void publish();

private:
  void list(Exchange &exchange) const;
  void show(Exchange &exchange) const;

  Routes routes_;
  const std::shared_ptr<Provisioner> provisioner_;
};

} // namespace matrixos::signup
