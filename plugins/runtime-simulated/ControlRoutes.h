#pragma once

#include "SimulatedRuntime.h"

#include <matrixos/host.hpp>

namespace matrixos::simulated {

/// /simulated/…: what a test reads and changes behind the platform's back. All need the admin permission.
class ControlRoutes {
public:
  /// The three outlive the routes.
  ControlRoutes(const mos_host_v1 *host, SimulatedEngine &engine, SimulatedRuntime &runtime, FaultScript &faults);
  /// Registers them.
  void publish() { routes_.publish(); }

private:
  void addReports();
  void addFaults();
  void addClock();
  void addInstances();
  void addSurroundings();
  std::string stateJson() const;
  std::string clockJson() const;

  Routes routes_;
  SimulatedEngine &engine_;
  SimulatedRuntime &runtime_;
  FaultScript &faults_;
};

} // namespace matrixos::simulated
