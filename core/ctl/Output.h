#pragma once

#include "ctl/CommandLine.h"

#include <matrixos/json.hpp>

#include <string>
#include <vector>

namespace matrixos::ctl {

/// A member as text, "" when it is missing.
std::string text(const json::Object &object, const std::string &key);

/// The objects of an array.
std::vector<json::Object::Ptr> objects(const json::Value &array);

/// Writes what standard output still holds; the errno of whatever could not be written, 0 when everything was.
int finishOutput();

/// Prints the JSON as it came, for scripts; true when --json asked for it.
bool printedJson(const Invocation &invocation, const std::string &body);

} // namespace matrixos::ctl
