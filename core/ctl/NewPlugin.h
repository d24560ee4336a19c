#pragma once

#include "ctl/CommandLine.h"

#include <filesystem>
#include <string>

namespace matrixos::ctl {

/// The id, folder and file name of a new runtime: "firefly" and "runtime-firefly" both give "runtime-firefly". Throws
/// UsageError when no plugin may be called that.
std::string runtimeId(const std::string &name);

/// Where the SDK's template lies: beside the installed program (<prefix>/share/matrixos/sdk/template), or in the source
/// tree that `executable` was built in. Throws Failure, which says what to install, when it is in neither.
std::filesystem::path findTemplate(const std::filesystem::path &executable);

/// Copies the template to `folder`, with `id` in place of the template's own names. The folder is there whole or, after
/// a failure, not at all. Throws Failure; an existing folder is one.
void copyTemplate(const std::filesystem::path &from, const std::string &id, const std::filesystem::path &folder);

/// `plugins new NAME [--dir DIR]`: copies the template and says what to do next. Needs no daemon.
int pluginsNew(const Invocation &invocation);

} // namespace matrixos::ctl
