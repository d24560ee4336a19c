#pragma once

#include "plugin/Manifest.h"

#include <matrixos/json.hpp>

namespace matrixos::plugin {

/// The manifest as GET /plugins shows it: {"id", "name", "version", "vendor", "license", "description", "abiMajor",
/// "minHostMinor", "provides": [{"service", "instance", "minor"}], "needs": [{"service", "minMinor", "optional"}],
/// "configKeys": [{"key", "type", "default", "range", "help", "live", "required", "secret", "public", "create",
/// "port"}], "commands": [{"words", "help", "method", "path", …}]}, see common::CommandDescription::toJson(). All but
/// create().
json::Object::Ptr toJson(const Manifest &manifest);

} // namespace matrixos::plugin
