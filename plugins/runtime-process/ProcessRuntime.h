#pragma once

#include "Cgroups.h"
#include "Sandbox.h"
#include "Settings.h"

#include <matrixos/log_file.hpp>
#include <matrixos/managed_runtime.hpp>
#include <matrixos/process.hpp>

#include <functional>
#include <string>
#include <vector>

namespace matrixos::processes {

/// Instances as processes of this machine: what ManagedRuntime asks of an engine. An instance is the leader of a
/// session, known by its process id and start time; the daemon is its parent until the daemon restarts, and no parent
/// is put in between, since only a parent learns an exit code.
class ProcessRuntime : public ManagedRuntime {
public:
  /// `settings` outlives it. `warn` is told what an operator should know.
  ProcessRuntime(const Settings &settings, std::function<void(const std::string &)> warn);
  ~ProcessRuntime() override {
    close();
    cgroups_.removeFolders();
  }

  /// What is and what is not kept apart here, in words for operators.
  std::string isolationNote() const;
  std::string limitsNote() const;

protected:
  EngineInfo engine(const Call &call) override;
  std::string launch(const Call &call, const Instance &instance) override;
  bool isAlive(const Instance &instance) override;
  int deathFd(const Instance &instance) override;
  void end(const Call &call, const Instance &instance, std::chrono::milliseconds grace) override;
  Exit exitOf(const Instance &instance) override;
  void prepare(const Call &call, const Instance &instance) override;
  void discard(const Call &call, const Instance &instance) override;
  void freeze(const Call &call, const Instance &instance) override;
  void thaw(const Call &call, const Instance &instance) override;
  Usage usage(const Call &call, const Instance &instance) override;
  void tend(const Instance &instance) override { log(instance).rotateIfLarge(); }
  void readLogs(const Call &call, const Instance &instance, const LogOptions &options, const LineFn &line) override;

private:
  LogFile log(const Instance &instance) const;

  const Settings &settings_;
  Sandbox sandbox_;
  Cgroups cgroups_;
};

} // namespace matrixos::processes
