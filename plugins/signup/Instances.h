/// Who has which instance, at one moment.
#pragma once

#include <matrixos/instance_record.hpp>
#include <matrixos/orchestrator.hpp>

#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::signup {

/// All instances, as the orchestrator lists them. Asked for where somebody signs up or goes, not kept: an orchestrator
/// that came back, or another one, needs no care then.
class Instances {
public:
  struct Entry {
    std::string handle;
    InstanceStatus status = InstanceStatus::Unknown;

    /// It was made, and is not on its way out.
    bool isThere() const noexcept {
      return status == InstanceStatus::Running || status == InstanceStatus::Stopped ||
             status == InstanceStatus::Sleeping;
    }
    bool isLeaving() const noexcept { return status == InstanceStatus::Deleting; }
  };

  /// Throws Error when nobody can say.
  explicit Instances(const OrchestratorClient &orchestrator) {
    orchestrator.list("", [this](std::string_view json) {
      InstanceRecord record = InstanceRecord::parse(json);
      byUser_[record.clerkUserId] = {record.handle, record.status};
      byHandle_[std::move(record.handle)] = std::move(record.clerkUserId);
      return true;
    });
  }

  /// The user's, null when there is none.
  const Entry *of(const std::string &userId) const {
    const auto found = byUser_.find(userId);
    return found == byUser_.end() ? nullptr : &found->second;
  }
  bool has(const std::string &handle) const { return byHandle_.count(handle) != 0; }
  /// Whether somebody else has it.
  bool isTaken(const std::string &handle, const std::string &userId) const {
    const auto found = byHandle_.find(handle);
    return found != byHandle_.end() && found->second != userId;
  }
  std::size_t size() const noexcept { return byHandle_.size(); }

private:
  std::unordered_map<std::string, Entry> byUser_;
  std::unordered_map<std::string, std::string> byHandle_;
};

} // namespace matrixos::signup
