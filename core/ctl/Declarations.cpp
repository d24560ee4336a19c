#include "ctl/Declarations.h"

#include "common/Ownership.h"
#include "ctl/PluginProbe.h"

#include <sys/stat.h>

#include <algorithm>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds kPatience{5}; ///< one that hangs delays every command that is not built in

bool isSame(const struct stat &a, const struct stat &b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

} // namespace

Declarations::Declarations(Settings settings) : settings_(std::move(settings)), ids_(settings_.enabled) {
  for (const std::string &id : plugin::PluginFile::idsIn(settings_.plugins)) {
    if (std::find(ids_.begin(), ids_.end(), id) == ids_.end()) ids_.push_back(id);
  }
}

std::optional<DeclaringPlugin> Declarations::next() {
  while (at_ < ids_.size()) {
    const std::string &id = ids_[at_++];
    auto commands = commandsOf(id);
    if (commands && !commands->empty()) return DeclaringPlugin{id, at_ <= settings_.enabled.size(), *commands};
  }
  return std::nullopt;
}

std::optional<std::vector<common::CommandDescription>> Declarations::commandsOf(const std::string &id) {
  std::error_code error;
  const fs::path folder = fs::canonical(settings_.plugins, error);
  if (error || !plugin::isPluginId(id)) return std::nullopt;
  const fs::path file = fs::canonical(folder / (id + ".so"), error);
  if (error || file.parent_path() != folder) return std::nullopt;
  struct stat home {
  }, before{}, after{};
  if (::stat(folder.c_str(), &home) != 0 || ::stat(file.c_str(), &before) != 0 || !S_ISREG(before.st_mode))
    return std::nullopt;
  if (!common::ownershipProblem(home, folder, "the plugin folder", settings_.user).empty() ||
      !common::ownershipProblem(before, file, "the plugin file", settings_.user).empty())
    return std::nullopt;
  const fs::path name = folder / (id + ".so");
  if (auto known = cache_.find(name, before)) return known;
  const ProbedPlugin probed = probePlugin(file, file.string(), id, kPatience);
  std::optional<std::vector<common::CommandDescription>> commands;
  if (probed.manifest) commands = probed.manifest->commands;
  if (::stat(file.c_str(), &after) == 0 && isSame(before, after)) cache_.keep(name, before, commands);
  return commands;
}

} // namespace matrixos::ctl
