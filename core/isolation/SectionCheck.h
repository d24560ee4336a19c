#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// Has a plugin look at its configuration (mos_descriptor_v1.check) in a confined process of its own.
class SectionCheck {
public:
  /// One key, "issuer" or "platform.domain", as mos_host_config_v1 gives it.
  struct Value {
    std::string key;
    std::string text; ///< wiped with the object
    std::optional<std::int64_t> integer{};
    std::optional<double> number{};
    std::optional<std::vector<std::string>> items{};
  };
  struct Problem {
    std::string key; ///< empty: of the section
    std::string text;
  };
  struct Result {
    std::vector<Problem> problems;
    /// Why the plugin could not look: it crashed, hung, failed.
    std::string failure;
  };

  SectionCheck() = default;
  ~SectionCheck();
  SectionCheck(const SectionCheck &) = delete;
  SectionCheck &operator=(const SectionCheck &) = delete;

  void add(Value value) { values_.push_back(std::move(value)); }

  /// `program`: matrixos-plugin-host. `user`: whom files are read as, where that is another than this process's.
  /// Throws Error when the process cannot be started.
  Result run(const std::filesystem::path &program, const std::filesystem::path &plugin, std::optional<uid_t> user,
             std::chrono::milliseconds timeout) const;

private:
  std::vector<Value> values_;
};

} // namespace matrixos::isolation
