#pragma once

#include "ctl/CommandLine.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::ctl {

/// A kind of plugins, of which the SDK has a template: `templates/<name>`, a plugin called `<name>-template`.
struct PluginKind {
  std::string_view name;   ///< "policy"
  std::string_view prefix; ///< that ids of this kind begin with, by custom; may be empty
  std::string_view tests;  ///< what its test does, for the next steps
  std::string_view config; ///< what it takes beside [plugins] enabled; ID stands for its id. May be empty
};
const std::vector<PluginKind> &pluginKinds();
/// Throws UsageError, with all there are.
const PluginKind &pluginKind(const std::string &name);
/// "runtime|service|…"
std::string pluginKindNames();

/// The id, folder and file name of a new plugin: of kind runtime "firefly" and "runtime-firefly" both give
/// "runtime-firefly". Throws UsageError when no plugin may be called that.
std::string newPluginId(const PluginKind &kind, const std::string &name);

/// Where the SDK's templates lie: beside the installed program (<prefix>/share/matrixos/sdk/templates), or in the
/// source tree that `executable` was built in. Throws Failure, which says what to install, when they are in neither.
std::filesystem::path findTemplates(const std::filesystem::path &executable);

/// Copies `<templates>/<kind>` to `folder`, with names of `id` in place of the template's own: "policy-template",
/// "policy_template", "POLICY_TEMPLATE", and "Template" at the beginning of a word. The folder is there whole or, after
/// a failure, as it was. Throws Failure; a folder with something in it is one.
void copyTemplate(const std::filesystem::path &templates, const PluginKind &kind, const std::string &id,
                  const std::filesystem::path &folder);

/// `plugins new NAME [--kind KIND] [--dir DIR]`: copies a template and says what to do next. Needs no daemon.
int pluginsNew(const Invocation &invocation);

} // namespace matrixos::ctl
