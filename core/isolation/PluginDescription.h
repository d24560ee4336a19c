#pragma once

#include "common/CommandDescription.h"

#include <matrixos/abi/plugin.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::isolation {

/// A descriptor that a plugin gave in another process. It has the form of the ABI, so that it is judged like one of a
/// plugin that was loaded here, except that it has no create function.
class PluginDescription {
public:
  enum class Trust { Own, Stranger };
  /// Has `program` (matrixos-plugin-host) load `file` and say what it is, within `timeout`, 1 GB of memory and 1 MB of
  /// text. Nothing of the file runs in this process; in the other one it can change nothing, and a stranger's has not
  /// even root's rights to read. Throws Error(FailedPrecondition) that says what was wrong, also
  /// when it crashed, hung or talked nonsense; messages call the file
  /// `name`.
  static std::shared_ptr<const PluginDescription> ask(const std::filesystem::path &program,
                                                      const std::filesystem::path &file, const std::string &name,
                                                      std::chrono::milliseconds timeout, Trust trust = Trust::Own);

  /// What the program prints. Nothing of a descriptor with the wrong magic or a struct that is too small is read but
  /// its versions.
  static std::string toJson(const mos_descriptor_v1 *descriptor);
  /// Throws Error(InvalidArgument).
  static std::shared_ptr<const PluginDescription> fromJson(std::string_view json);

  /// Valid as long as this object; null when the plugin gave none.
  const mos_descriptor_v1 *descriptor() const noexcept { return null_ ? nullptr : &descriptor_; }

  PluginDescription() = default;
  PluginDescription(const PluginDescription &) = delete;
  PluginDescription &operator=(const PluginDescription &) = delete;

private:
  const char *keep(std::string value) { return texts_.emplace_back(std::move(value)).c_str(); }

  bool null_ = false;
  std::deque<std::string> texts_;
  std::vector<mos_provide> provides_;
  std::vector<mos_need> needs_;
  std::vector<mos_config_key> keys_;
  std::vector<mos_claim> claims_;
  std::deque<std::vector<mos_function_v1>> functions_; ///< of each of the services
  std::deque<mos_service_v1> services_;
  std::vector<const mos_service_v1 *> serviceList_;
  std::deque<common::CommandDescription> commandTexts_;
  std::deque<std::vector<mos_command_option>> options_; ///< of each of the commands
  std::vector<mos_command> commands_;
  mos_descriptor_v1 descriptor_{};
};

} // namespace matrixos::isolation
