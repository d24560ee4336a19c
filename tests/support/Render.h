#pragma once

#include "config/Schema.h"

#include <string>

namespace matrixos::config {

/// A complete configuration file in which every key of the schema stands at its default, with its meaning, type, unit
/// and range as comments. Keys without a default are commented out. Loading it equals loading nothing.
std::string renderIni(const Schema &schema);

/// The same as XML.
std::string renderXml(const Schema &schema);

} // namespace matrixos::config
