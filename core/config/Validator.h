#pragma once

#include "config/Config.h"
#include "config/RawConfig.h"
#include "config/Schema.h"

namespace matrixos::config {

/// The first of two phases. Which plugins are asked for their keys is itself configured, so the core's own sections
/// are read first: call it with the core's schema, take plugins.path and plugins.enabled, add the plugins to the
/// schema, then validate(). Sections that the schema lacks are ignored and bad values replaced by their defaults;
/// validate() will report them.
ConfigPtr preview(const RawConfig &raw, const Schema &schema);

/// The configuration, if there is nothing wrong with it. Reads the files that `*_file` keys name. Throws ConfigError
/// with every problem found by load() and here: unknown sections and keys, values of the wrong type or out of range,
/// missing keys, secrets set twice, and combinations that are not safe (SemanticChecks.h).
ConfigPtr validate(const RawConfig &raw, const Schema &schema);

} // namespace matrixos::config
