/// Brings an instance up: provision, start, and what a crash left half-way.
#pragma once

#include "InstanceTable.h"
#include "Operation.h"

#include <string>

namespace matrixos::orchestrator {

/// A launch is a list of steps (Step); the next one is committed before its effect is tried, and each is safe to
/// repeat, so a crash anywhere is taken up from the record alone. A first provision that fails is taken back whole;
/// an instance that once ran becomes Failed and may be tried again.
class LaunchOperation : public Operation {
public:
  /// A new instance for this user, or the one there is.
  LaunchOperation(Workshop &workshop, std::string handle, std::string clerkUserId)
      : Operation(Kind::Provision, std::move(handle)), shop_(workshop), clerkUserId_(std::move(clerkUserId)) {}
  /// An existing instance, from whatever state it is in.
  LaunchOperation(Workshop &workshop, std::string handle)
      : Operation(Kind::Start, std::move(handle)), shop_(workshop) {}

  State advance() override;
  bool serves(const Operation &other) const override;

private:
  // How the work begins; true when nothing is left to do.
  bool begin();
  bool beginProvision();
  bool beginStart();
  bool isUp();
  void insertRecord();
  void commitNew(Instance fresh);

  // The steps; each leaves record_ at the next one.
  State runSteps();
  void ensureVolume();
  bool ensureImage();
  void createContainer();
  std::string makeContainer();
  bool startContainer();
  void announce();

  void containerGone();
  void movePorts(const Error &conflict);
  void skipPorts(int from, int conflicts);

  // How it ends when it fails.
  [[noreturn]] void fail(const Error &error);
  void noteEndAtStart(Instance &next);
  void undo(const std::string &reason);

  Published update(Instance next);
  void progress(const char *phase) { shop_.table.setProgress(handle(), {phase, 0, 0}); }
  std::string effectId(const char *effect) const { return record_->operationId + "/" + effect; }

  Workshop &shop_;
  std::string clerkUserId_;
  InstancePtr record_; ///< as last committed; null before there is one
  bool begun_ = false;
  bool first_ = false; ///< its first time up
  bool thaw_ = false;  ///< it is frozen, not stopped
  bool cold_ = false;  ///< it has ended, other than the record says
  int rounds_ = 0;     ///< containers created by this operation
  int portMoves_ = 0;
  int gatewayMoves_ = 0;
  int shellMoves_ = 0;
  bool pulled_ = false; ///< the puller has answered
  std::string digest_;
  std::optional<Error> pullError_;
};

} // namespace matrixos::orchestrator
