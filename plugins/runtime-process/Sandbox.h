#pragma once

#include "Settings.h"

#include <matrixos/instance_spec.hpp>

#include <string>
#include <vector>

namespace matrixos::processes {

/// Bubblewrap around an instance: the system read-only, /tmp, /run, /dev and process ids of its own, only its own
/// volumes writable, those of others and the platform's data out of sight, no capabilities, no new privileges. The
/// network is the machine's. Thread-safe.
class Sandbox {
public:
  /// Finds out whether it works here, by running one. Throws Error(FailedPrecondition, NO_SANDBOX) when the settings
  /// demand it and it does not.
  explicit Sandbox(const Settings &settings);

  bool works() const noexcept { return !program_.empty(); }
  /// Why it is not used; "" when it is.
  const std::string &problem() const noexcept { return problem_; }

  /// The command in a sandbox, or as it is when there is none. `program` is its file, "" when not known: its folder is
  /// in sight even where folders are not.
  std::vector<std::string> wrap(const InstanceSpec &spec, std::vector<std::string> command,
                                const std::string &program) const;

private:
  std::vector<std::string> arguments() const;
  std::string tryOut() const;

  const Settings &settings_;
  std::string program_;
  std::string problem_;
};

} // namespace matrixos::processes
