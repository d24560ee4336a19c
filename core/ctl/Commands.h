#pragma once

#include "common/CommandOwners.h"
#include "ctl/CommandLine.h"
#include "ctl/Declarations.h"

#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// Everything matrixosctl can do: its own commands, and those that plugins declare, which are looked for only as far as
/// they are needed.
class Commands {
public:
  /// `words`: what was typed, where --config and --api say which plugins count.
  explicit Commands(std::vector<std::string> words);
  Commands(const Commands &) = delete;
  Commands &operator=(const Commands &) = delete;

  /// Valid as long as this object. Throws UsageError, and Failure when the configuration that was named cannot be read.
  Invocation understand();
  /// All of them, also when no daemon answers and no configuration can be read.
  const std::vector<CommandSpec> &all();
  /// helpFor() of all of them. Throws UsageError.
  std::string help(const std::vector<std::string> &words);

private:
  /// Adds the commands of the next plugin; false when there is none left.
  bool addNext();
  void add(const DeclaringPlugin &plugin);
  void addOfDaemon();
  /// The word may be one that only the daemon could have known: throws with its reason why it did not say so.
  void blameDaemon(const UnknownWord &unknown) const;
  /// What --url or --api says; empty for the daemon that the configuration is of.
  std::string elsewhere() const;

  const std::vector<std::string> words_;
  std::vector<CommandSpec> list_;
  std::size_t place_; ///< in list_, of the next declared command
  std::unique_ptr<Declarations> declarations_;
  bool askedDaemon_ = false;
  std::exception_ptr daemonFailure_;
  std::string refusal_; ///< the daemon's, to say which commands there are; may be empty
  common::CommandOwners owners_;
};

} // namespace matrixos::ctl
